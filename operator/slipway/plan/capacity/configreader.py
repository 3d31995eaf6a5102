"""Fields of a config.json under the several names that they go by, and in what words one is wrong.

Decided here: that a size is a whole number above zero and no larger than any that a model could have, that nothing
else is taken for one, and that a model with a decoder inside (a vision model's `text_config`) is that decoder.
"""

from collections.abc import Mapping, Sequence
from typing import Any

INNER = ("text_config", "llm_config", "language_config", "thinker_config")
SIZE_MAX = 10**12


class Unplannable(ValueError):
    """The model cannot be planned for; the message names the field of config.json and says what would mend it."""


class ConfigReader:
    """What one config.json says. Names are tried in turn."""

    def __init__(self, config: object) -> None:
        if not isinstance(config, Mapping):
            raise Unplannable("config.json: must be a JSON object, as Hugging Face writes one beside a model's weights")
        inner = next((config[name] for name in INNER if isinstance(config.get(name), Mapping)), None)
        self.within = inner is not None
        self._fields: Mapping[str, Any] = {**config, **inner} if inner else config

    def raw(self, *names: str) -> Any:  # noqa: ANN401 - whatever the file holds
        return next((self._fields[name] for name in names if self._fields.get(name) is not None), None)

    def size(self, *names: str, default: int | None = None, most: int = SIZE_MAX) -> int:
        """A whole number above zero, `most` at most. Raises Unplannable."""
        value = self.raw(*names)
        if value is None and default is not None:
            return default
        if value is None:
            raise Unplannable(f"config.json: {' or '.join(names)}: is missing, and a model's size follows from it")
        return _checked(value, next(name for name in names if self._fields.get(name) is not None), most)

    def count(self, *names: str) -> int:
        """As `size`, but 0 where it is left out or says so."""
        return 0 if self.raw(*names) in (None, 0) else self.size(*names)

    def text(self, name: str) -> str:
        value = self.raw(name)
        return value if isinstance(value, str) else ""

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise Unplannable(f"config.json: {name}: must be true or false: {value!r}")
        return value

    def integers(self, name: str) -> frozenset[int]:
        value = self.raw(name)
        return (
            frozenset(each for each in value if isinstance(each, int)) if isinstance(value, Sequence) else frozenset()
        )

    def words(self, name: str) -> tuple[str, ...] | None:
        value = self.raw(name)
        return tuple(map(str, value)) if isinstance(value, list) else None


def _checked(value: object, name: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise Unplannable(f"config.json: {name}: must be a whole number above zero: {value!r}")
    if value > most:
        raise Unplannable(f"config.json: {name}: must be at most {most}")
    return value
