"""A row to a conversation: the three shapes in which instructions are written down.

- `messages`: a list of {"role": system | user | assistant, "content": text}
- `prompt` and `completion`
- `instruction`, `output` and perhaps `input`, which follows the instruction after an empty line

Decided here: all three become turns, for one chat template; turns alternate and end with the assistant's, whose words
are what is learned. What does not fit is a bad row and says why.
"""

from dataclasses import dataclass
from typing import Any

_SHAPES = "messages, or prompt and completion, or instruction and output"


@dataclass(frozen=True, slots=True)
class Turn:
    role: str
    content: str

    def to_json(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


Conversation = tuple[Turn, ...]


class BadRow(Exception):
    """Why a row cannot be used, in a few words."""


def conversation(row: dict[str, Any]) -> Conversation:
    """The turns of a row, the assistant's last. Raises BadRow."""
    if row.get("messages") is not None:
        return _checked(_messages(row["messages"]))
    if "prompt" in row and "completion" in row:
        return _checked((Turn("user", _text(row, "prompt")), Turn("assistant", _text(row, "completion"))))
    if "instruction" in row and "output" in row:
        return _checked((Turn("user", _instruction(row)), Turn("assistant", _text(row, "output"))))
    raise BadRow(f"a row needs {_SHAPES}, and this has {', '.join(sorted(row)) or 'nothing'}")


def text_of(turns: Conversation) -> str:
    """All that was said, for filters and for comparing."""
    return "\n".join(turn.content for turn in turns)


def _messages(value: object) -> Conversation:
    if not isinstance(value, list) or not value:
        raise BadRow("messages is not a list of turns")
    return tuple(_turn(index, each) for index, each in enumerate(value))


def _turn(index: int, value: object) -> Turn:
    if not isinstance(value, dict):
        raise BadRow(f"messages[{index}] is not an object")
    role = value.get("role")
    if role not in ("system", "user", "assistant"):
        raise BadRow(f"messages[{index}].role is {role!r}, not system, user or assistant")
    return Turn(role, _text(value, "content", f"messages[{index}].content"))


def _text(row: dict[str, Any], name: str, path: str = "") -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise BadRow(f"{path or name} is {'missing' if value is None else 'not text'}")
    if not value.strip():
        raise BadRow(f"{path or name} is empty")
    return encodable(value, path or name)


def encodable(value: str, path: str) -> str:
    """JSON may hold half a surrogate pair, which is no text in any encoding."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRow(f"{path} holds half a surrogate pair") from None
    return value


def _instruction(row: dict[str, Any]) -> str:
    more = row.get("input")
    if more is not None and not isinstance(more, str):
        raise BadRow("input is not text")
    instruction = _text(row, "instruction")
    return f"{instruction}\n\n{encodable(more, 'input')}" if more else instruction


def _checked(turns: Conversation) -> Conversation:
    spoken = turns[1:] if turns[0].role == "system" else turns
    wanted = ["user" if index % 2 == 0 else "assistant" for index in range(len(spoken))]
    if [turn.role for turn in spoken] != wanted or len(spoken) % 2:
        raise BadRow("the turns do not alternate between user and assistant, ending with the assistant's")
    if not spoken:
        raise BadRow("nobody answers")
    return turns
