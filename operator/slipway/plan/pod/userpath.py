"""From the field that the API server complains of to the field that the user wrote.

A dry run is made of the merged template, in which the user's second container may be the third, and in a training pod
`main` has another name. A path that leads to something of the user's is told as `spec.podTemplate....`; one that does
not is left as it is, for then the template itself is Slipway's.
"""

import re
from collections.abc import Mapping
from typing import Any

from ..names import MAIN_CONTAINER
from .mergekeys import merge_key

TRIAL = "slipway-trial-"  # how the names of what is tried begin
IMAGE_FIELD = "spec.image"

OBJECT = re.compile(rf'(?:Pod|PodTemplate|pods|podtemplates) "{TRIAL}[0-9a-f]+" is (?:invalid|forbidden): ')
PATH = re.compile(r"(?<![\w.\"])(?:template\.)?(?:spec|metadata)(?:\.[A-Za-z]\w*|\[[^\]\s]*\])+")
UNREADABLE = re.compile(
    r'(?:Pod|PodTemplate) in version "v1" cannot be handled as a (?:Pod|PodTemplate): (?:strict decoding error: )?'
)
UNKNOWN = re.compile(r'(, )?unknown field "([^"]+)"')
NO_FIELD = "Kubernetes has no such field here: correct its spelling, or leave it out"
STEP = re.compile(r"\.?(\w+)|\[([^\]]*)\]")

# A step along a path: a field's name, or what stands in brackets.
Step = tuple[str, str]


def in_users_words(complaint: str, *, user: Mapping[str, Any], template: Mapping[str, Any], main: str) -> str:
    """`complaint` with the user's own paths, and without the name of the object that was only tried.

    `template` is `user` over the rendered one; `main` is its name of the container that the user calls `main`.
    """
    said = UNREADABLE.sub("", OBJECT.sub("", complaint))
    told = PATH.sub(lambda found: _translated(found[0], user, template, main), said)
    return UNKNOWN.sub(
        lambda found: f"{'; ' if found[1] else ''}{_translated(found[2], user, template, main)}: {NO_FIELD}", told
    )


def _translated(path: str, user: Mapping[str, Any], template: Mapping[str, Any], main: str) -> str:
    steps: list[Step] = [(name, inside) for name, inside in STEP.findall(path.removeprefix("template."))]
    if _is_main_image(steps, template, main):
        return IMAGE_FIELD
    mine = _walk(steps, user, template, main)
    return path if mine is None else mine


def _walk(steps: list[Step], user: Any, template: Any, main: str) -> str | None:  # noqa: ANN401 - any JSON value
    """The path in the user's own template; None when it leads to nothing of it. What the user left out of an element
    of theirs is still theirs to write.
    """
    path, field = "spec.podTemplate", ""
    for depth, (name, inside) in enumerate(steps):
        if isinstance(template, list) and inside.isdecimal():
            index = _same(user, template, int(inside), field, main)
            if index is None:
                return None
            user, template, path = user[index], template[int(inside)], f"{path}[{index}]"
            continue
        key = name or inside
        if not isinstance(user, Mapping) or key not in user:
            return path + _rest(steps[depth:]) if depth > 2 else None
        user, template = user[key], template.get(key) if isinstance(template, Mapping) else None
        path, field = path + _rest([(name, inside)]), key
    return path


def _same(user: Any, template: list[Any], index: int, field: str, main: str) -> int | None:  # noqa: ANN401
    """Where in the user's list the element of the merged list stands."""
    if not isinstance(user, list) or index >= len(template):
        return None
    element = template[index]
    wanted = merge_key(field, element)
    if wanted is None:
        return next((n for n, entry in enumerate(user) if entry == element), None)
    if field == "containers" and element["name"] == main:
        wanted = merge_key(field, {"name": MAIN_CONTAINER})
    return next((n for n, entry in enumerate(user) if merge_key(field, entry) == wanted), None)


def _is_main_image(steps: list[Step], template: Mapping[str, Any], main: str) -> bool:
    head = [name or inside for name, inside in steps]
    containers = (template.get("spec") or {}).get("containers")
    if len(head) != 4 or head[:2] != ["spec", "containers"] or head[3] != "image" or not isinstance(containers, list):
        return False
    at = int(head[2]) if head[2].isdecimal() else len(containers)
    return at < len(containers) and isinstance(containers[at], Mapping) and containers[at].get("name") == main


def _rest(steps: list[Step]) -> str:
    return "".join(f".{name}" if name else f"[{inside}]" for name, inside in steps)
