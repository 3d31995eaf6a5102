"""What a user writes stays data: in a query it is one string, in a command one argument, and no shell sees either."""

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.plan.inference.scaledobject import query

from .inference.world import applied, settle, spec
from .training.builders import COMMAND, RECIPE, fresh, planned

# As Prometheus' lexer reads a query: double-quoted strings with Go's escapes, names, and single characters.
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[A-Za-z_:][\w:]*|\s+|.', re.DOTALL)
SHELLS = {"sh", "bash", "/bin/sh", "/bin/bash", "dash", "busybox"}

HOSTILE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            '"} or vector(1) #',
            '\\"} or vector(1) #',
            'x",inference_service=~".*',
            "\n) by (job)",
            "$(reboot)",
            "; rm -rf /",
            "`id`",
            "a b",
            "--flag",
            "",
            "$HOME",
            "$(POD)",
            "$$",
            "{{ .Values }}",
        ]
    ),
)
UNPAIRED = st.characters(exclude_categories=["Cs"])


def tokens(text: str) -> list[str]:
    found = TOKEN.findall(text)
    assert "".join(found) == text
    return found


def shape(text: str) -> list[str]:
    """The query with each string as one mark: equal shapes parse to equal trees."""
    return ['"' if token.startswith('"') else token for token in tokens(text)]


@settings(deadline=None)
@given(namespace=HOSTILE, name=HOSTILE)
def test_a_name_in_a_query_is_one_string_whatever_is_in_it(namespace: str, name: str) -> None:
    made = query(namespace, name)
    assert shape(made) == shape(query("team", "chat"))
    strings = [json.loads(token, strict=False) for token in tokens(made) if token.startswith('"')]
    assert strings == [namespace, name]


def commands(template: Any) -> list[list[str]]:
    pod = template["spec"]
    containers = [*pod.get("initContainers", []), *pod["containers"]]
    return [[*container.get("command", []), *container.get("args", [])] for container in containers]


WORDS = st.lists(st.text(UNPAIRED, min_size=1, max_size=40), min_size=1, max_size=4)


@settings(deadline=None, max_examples=50)
@given(command=WORDS)
def test_a_users_command_is_passed_on_word_by_word(command: list[str]) -> None:
    (gang,) = planned(fresh({**COMMAND, "command": command})).create
    (argv,) = commands(gang["spec"]["pytorchReplicaSpecs"]["Master"]["template"])
    assert argv == ["torchrun", "--no-python", *command]


def test_no_command_of_ours_goes_through_a_shell() -> None:
    (gang,) = planned(fresh(RECIPE)).create
    templates = [role["template"] for role in gang["spec"]["pytorchReplicaSpecs"].values()]
    templates.append(applied(settle(), "Deployment")["spec"]["template"])
    found = [argv for template in templates for argv in commands(template)]
    assert len(found) == 5
    for argv in found:
        assert argv
        assert not SHELLS & set(argv)
        assert "-c" not in argv


@settings(deadline=None, max_examples=50)
@given(path=st.text(st.sampled_from("ab$ ;`\"'\\(){}|&<>*?~#\n"), min_size=1, max_size=20))
def test_a_models_path_is_one_argument(path: str) -> None:
    made = settle(spec(model={"uri": f"pvc://models/{path}"}))
    plain = settle(spec(model={"uri": "pvc://models/plain"}))
    if not made.apply:  # refused, which is as good
        return
    mine, reference = (commands(applied(each, "Deployment")["spec"]["template"]) for each in (made, plain))
    assert [len(argv) for argv in mine] == [len(argv) for argv in reference]
