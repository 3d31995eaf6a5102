"""The part of CEL that the generated CRDs use, compiled to Python closures.

No library is used: those for Python know no Kubernetes functions (isQuantity, quantity) and take a millisecond for what
takes a microsecond here. Whatever is not implemented is refused when a rule is compiled (`Unsupported`), so a new rule
cannot silently pass; tests/crd's table and the conformance cases hold the results against the real server.

Known: literals, self, oldSelf, has(), field selection, list index, ! - * / % + < <= > >= == != && || ?: in, and the
functions size, double, matches, startsWith, endsWith, contains, isQuantity, quantity, isGreaterThan, isLessThan.
"""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import re2

from . import quantities

Value = Any
Code = Callable[[Value, Value], Value]  # (self, oldSelf) -> value


class Unsupported(ValueError):
    """A rule uses something of CEL that is not implemented here."""


class Failed(Exception):
    """A rule could not be evaluated: a field is absent, a division by zero."""


TOKEN: Final = re.compile(
    r"\s*(?:(?P<raw>r'[^']*'|r\"[^\"]*\")|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<op>&&|\|\||[=!<>]=|[-+*/%<>!?:.,()\[\]]))"
)
NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
POWERS: Final = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 3,
    "<=": 3,
    ">": 3,
    ">=": 3,
    "in": 3,
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
}
UNARY: Final = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule. `transition`: it speaks of oldSelf, and is not evaluated without one."""

    code: Code
    transition: bool

    def holds(self, value: Value, old: Value = None) -> bool:
        """Raises Failed."""
        return bool(self.code(value, old))


def compiled(rule: str) -> Rule:
    """Raises Unsupported."""
    parser = _Parser(list(_tokens(rule)), rule)
    code = parser.expression()
    if parser.position != len(parser.tokens):
        raise Unsupported(f"cannot read {rule!r} from {parser.tokens[parser.position][1]!r} on")
    return Rule(code, parser.transition)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while text[position:].strip():
        found = TOKEN.match(text, position)
        if found is None:
            raise Unsupported(f"cannot read {text!r} at {text[position:]!r}")
        position = found.end()
        kind = found.lastgroup or ""
        yield kind, found[kind]


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], rule: str) -> None:
        self.tokens, self.rule, self.position, self.transition = tokens, rule, 0, False

    def _peek(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise Unsupported(f"{self.rule!r} ends too early")
        self.position += 1
        return self.tokens[self.position - 1]

    def _expect(self, text: str) -> None:
        if self._next()[1] != text:
            raise Unsupported(f"{self.rule!r}: expected {text!r}")

    def expression(self, power: int = 0) -> Code:
        left = self._unary()
        while (symbol := self._peek()) in POWERS and POWERS[symbol] > power:
            self._next()
            left = _binary(symbol, left, self.expression(POWERS[symbol]))
        if power == 0 and self._peek() == "?":
            self._next()
            then = self.expression()
            self._expect(":")
            return _choice(left, then, self.expression())
        return left

    def _unary(self) -> Code:
        if self._peek() in ("!", "-"):
            symbol = self._next()[1]
            below = self._unary()
            if symbol == "!":
                return lambda s, o: not _boolean(below(s, o))
            return lambda s, o: -below(s, o)
        return self._postfix(self._atom())

    def _atom(self) -> Code:
        kind, text = self._next()
        if text == "(":
            inner = self.expression()
            self._expect(")")
            return inner
        if kind in ("raw", "text", "number"):
            value = _literal(kind, text)
            return lambda _s, _o: value
        if kind == "name" and self._peek() == "(":
            return self._function(text)
        return self._name(text)

    def _name(self, text: str) -> Code:
        match text:
            case "self":
                return lambda s, _o: s
            case "oldSelf":
                self.transition = True
                return lambda _s, o: o
            case "true" | "false":
                return lambda _s, _o: text == "true"
        raise Unsupported(f"{self.rule!r}: the name {text!r}")

    def _postfix(self, code: Code) -> Code:
        while self._peek() in (".", "["):
            if self._next()[1] == "[":
                index = self.expression()
                self._expect("]")
                code = _indexed(code, index)
                continue
            name = self._next()[1]
            code = self._method(code, name) if self._peek() == "(" else _selected(code, name)
        return code

    def _arguments(self) -> list[Code]:
        self._expect("(")
        made: list[Code] = []
        while self._peek() != ")":
            made.append(self.expression())
            if self._peek() == ",":
                self._next()
        self._expect(")")
        return made

    def _function(self, name: str) -> Code:
        if name == "has":
            return self._has()
        arguments = self._arguments()
        if name not in FUNCTIONS or len(arguments) != 1:
            raise Unsupported(f"{self.rule!r}: the function {name}")
        function, (argument,) = FUNCTIONS[name], arguments
        return lambda s, o: function(argument(s, o))

    def _has(self) -> Code:
        self._expect("(")
        start = self.position
        self.expression()
        end = self.position
        self._expect(")")
        inner = _Parser(self.tokens[start : end - 2], self.rule)
        holder, name = inner.expression(), self.tokens[end - 1][1]
        if self.tokens[end - 2][1] != ".":
            raise Unsupported(f"{self.rule!r}: has() of anything but a field")
        self.transition = self.transition or inner.transition
        return lambda s, o: _contains(holder(s, o), name)

    def _method(self, code: Code, name: str) -> Code:
        arguments = self._arguments()
        if name == "matches":
            return _matcher(code, arguments)
        if name == "size" and not arguments:
            return lambda s, o: len(code(s, o))
        if name not in METHODS or len(arguments) != 1:
            raise Unsupported(f"{self.rule!r}: the method {name}")
        method, (argument,) = METHODS[name], arguments
        return lambda s, o: method(code(s, o), argument(s, o))


def _literal(kind: str, text: str) -> Value:
    if kind == "number":
        return float(text) if "." in text else int(text)
    if kind == "raw":
        return text[2:-1]
    if "\\" in text:
        raise Unsupported(f"escapes in {text}: use a raw string")
    return text[1:-1]


def _boolean(value: Value) -> bool:
    if not isinstance(value, bool):
        raise Failed("no such overload")
    return value


def _binary(symbol: str, left: Code, right: Code) -> Code:
    if symbol in ("&&", "||"):
        return _short(left, right, decisive=symbol == "||")
    function = OPERATORS[symbol]
    return lambda s, o: function(left(s, o), right(s, o))


def _short(left: Code, right: Code, *, decisive: bool) -> Code:
    """&& and || of CEL: an error on one side does not matter when the other decides."""

    def code(s: Value, o: Value) -> bool:
        try:
            if _boolean(left(s, o)) is decisive:
                return decisive
        except Failed:
            if _boolean(right(s, o)) is decisive:
                return decisive
            raise
        return _boolean(right(s, o))

    return code


def _choice(test: Code, then: Code, otherwise: Code) -> Code:
    return lambda s, o: then(s, o) if _boolean(test(s, o)) else otherwise(s, o)


def _selected(code: Code, name: str) -> Code:
    def select(s: Value, o: Value) -> Value:
        value = code(s, o)
        if not _contains(value, name):
            raise Failed(f"no such key: {name}")
        return value[name]

    return select


def _contains(value: Value, name: str) -> bool:
    if not isinstance(value, dict):
        raise Failed("no such overload")
    return name in value


def _indexed(code: Code, index: Code) -> Code:
    def item(s: Value, o: Value) -> Value:
        value, place = code(s, o), index(s, o)
        try:
            return value[place]
        except (IndexError, KeyError, TypeError):
            raise Failed(f"index out of bounds: {place}") from None

    return item


def _matcher(code: Code, arguments: list[Code]) -> Code:
    (argument,) = arguments
    try:
        pattern = argument(None, None)
        expression = re.compile(python_pattern(pattern))
    except (TypeError, AttributeError, Failed):  # no literal: a pattern of the user's own
        return lambda s, o: _re2(argument(s, o)).search(code(s, o)) is not None
    return lambda s, o: expression.search(code(s, o)) is not None


def _re2(pattern: Value) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise Failed(f"error parsing regexp: {error.args[0]}") from error


def python_pattern(pattern: str) -> str:
    """RE2 as Python's: `$` is the end of the text only, and \\s and \\S speak of ASCII."""
    made = re.sub(r"(?<!\\)((?:\\\\)*)\$", r"\1\\Z", pattern)
    return made.replace(r"\S", r"[^\t\n\f\r ]").replace(r"\s", r"[\t\n\f\r ]")


def _divided(left: Value, right: Value) -> int:
    """Towards zero, as CEL divides."""
    if right == 0:
        raise Failed("division by zero")
    result: int = abs(left) // abs(right)
    return -result if (left < 0) != (right < 0) else result


def _remainder(left: Value, right: Value) -> int:
    if right == 0:
        raise Failed("modulus by zero")
    result: int = abs(left) % abs(right)
    return -result if left < 0 else result


def _double(text: Value) -> float:
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise Failed(f"cannot be read as a number: {text}")
    return float(text)


def _is_quantity(text: Value) -> bool:
    try:
        quantities.value(text)
    except ValueError:
        return False
    return True


def _quantity(text: Value) -> Decimal:
    try:
        return quantities.value(text)
    except ValueError as error:
        raise Failed(str(error)) from error


OPERATORS: Final[dict[str, Callable[[Value, Value], Value]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": _remainder,
    "in": lambda item, group: item in group,
}
FUNCTIONS: Final[dict[str, Callable[[Value], Value]]] = {
    "size": len,
    "double": _double,
    "isQuantity": _is_quantity,
    "quantity": _quantity,
}
METHODS: Final[dict[str, Callable[[Value, Value], Value]]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
    "isGreaterThan": operator.gt,
    "isLessThan": operator.lt,
}
