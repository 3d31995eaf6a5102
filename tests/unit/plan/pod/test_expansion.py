"""What the kubelet makes of a command, an argument or a variable, and what of a user's text reaches the program."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.plan.pod.expansion import literal

from ..inference.world import applied, settle, spec
from ..training.builders import COMMAND, RECIPE, fresh, planned

VARIABLES = {"HOME": "/tmp", "RANK": "0"}
REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


def expanded(text: str) -> str:
    """k8s.io/kubernetes/third_party/forked/golang/expansion: `$$` is `$`, $(NAME) its value if there is such a one."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else VARIABLES.get(found[2], found[0])

    return REFERENCE.sub(value, text)


@pytest.mark.parametrize("text", ["", "$", "$$", "$(HOME)", "$$(HOME)", "$(HOME", "$(NONE)", "a$b$(RANK)$"])
def test_the_kubelet_makes_the_text_of_it(text: str) -> None:
    assert expanded(literal(text)) == text


@given(st.text("$()HOMErank "))
def test_the_kubelet_makes_any_text_of_it(text: str) -> None:
    assert expanded(literal(text)) == text


def test_the_engine_gets_its_arguments_as_the_user_wrote_them() -> None:
    wanted = ["--chat-template={{ $(HOME) }}", "--download-dir=$(HOME)/x", "--generation-config=a$$b"]
    arguments = applied(settle(spec(engineArgs=wanted)), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert [expanded(each) for each in arguments["args"][-3:]] == wanted


def gang(user: Any) -> Any:
    (made,) = planned(fresh(user)).create
    return made["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]


def test_the_trainer_gets_its_recipe_as_the_user_wrote_it() -> None:
    dataset = {"uri": "file:///data/$(HOME)", "include": ["$$*", "$(RANK)/*"]}
    variables = {each["name"]: each["value"] for each in gang({**RECIPE, "dataset": dataset})["env"]}
    recipe = json.loads(expanded(variables["SLIPWAY_RECIPE"]))["dataset"]
    assert (recipe["path"], recipe["include"]) == ("/data/$(HOME)", ["$$*", "$(RANK)/*"])


def test_a_command_of_the_users_own_is_expanded_as_any_containers_is() -> None:
    command = ["train", "--rank=$(RANK)", "--text=$$(RANK)"]
    assert [expanded(each) for each in gang({**COMMAND, "command": command})["command"]][-2:] == [
        "--rank=0",
        "--text=$(RANK)",
    ]
