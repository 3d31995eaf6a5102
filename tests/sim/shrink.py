"""A failing script made smaller while it still fails for the same oracle: fewer faults, fewer steps, one operator, calm
timing, plainer numbers. What remains is printed as a test.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from .judge import judge
from .scenarios import SCENARIOS
from .script import Script

LIMIT = 400  # runs

Fails = Callable[[Script], bool]


def shrink(script: Script, fails: Fails | None = None) -> Script:
    """The smallest script found. `fails` defaults to: the same oracle complains."""
    again = fails or same_oracle(script)
    runs = 0
    while runs < LIMIT:
        for smaller in candidates(script):
            runs += 1
            if again(smaller):
                script = smaller
                break
            if runs >= LIMIT:
                break
        else:
            return script
    return script


def same_oracle(script: Script) -> Fails:
    wanted = {violation.oracle for violation in judge(script).violations}

    def fails(smaller: Script) -> bool:
        try:
            return any(violation.oracle in wanted for violation in judge(smaller).violations)
        except Exception:  # a scenario without some of its steps may make no sense
            return False

    return fails


def candidates(script: Script) -> Iterator[Script]:
    """Scripts that are smaller by one thing, the most promising first."""
    if len(script.faults) > 2:
        half = len(script.faults) // 2
        yield replace(script, faults=script.faults[half:])
        yield replace(script, faults=script.faults[:half])
    for index in range(len(script.faults)):
        yield replace(script, faults=script.faults[:index] + script.faults[index + 1 :])
    if script.operators > 1:
        yield replace(script, operators=1)
    if script.restart:
        yield replace(script, restart=False)
    for timing in ("calm", "busy"):
        if script.timing not in ("calm", timing):
            yield replace(script, timing=timing)
    if script.timing == "busy":
        yield replace(script, timing="calm")
    for number in range(len(SCENARIOS[script.scenario].steps)):
        if number not in script.without:
            yield replace(script, without=(*script.without, number))
    if script.seed > 9:
        for seed in range(3):
            yield replace(script, seed=seed)


def as_test(script: Script, oracles: str) -> str:
    """The script as a test of tests/sim/regressions."""
    faults = "".join(f"            {fault!r},\n" for fault in script.faults)
    parts = [f"scenario={script.scenario!r}", f"seed={script.seed}", f"timing={script.timing!r}"]
    parts += [f"operators={script.operators}"] if script.operators > 1 else []
    parts += ["restart=True"] if script.restart else []
    parts += [f"without={script.without!r}"] if script.without else []
    names = sorted({type(fault).__name__ for fault in script.faults})
    imports = f"from ..faults import {', '.join(names)}\n" if names else ""
    body = "".join(f"        {part},\n" for part in parts) + (
        f"        faults=(\n{faults}        ),\n" if faults else ""
    )
    return (
        f"{imports}from ..judge import judge\nfrom ..script import Script\n\n\n"
        f"def test_{oracles.replace(' ', '_')}_seed_{script.seed}() -> None:\n"
        f"    script = Script(\n{body}    )\n    assert not judge(script).violations\n"
    )
