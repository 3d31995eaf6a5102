"""A failing script is made smaller without losing its failure, and what is printed is a test."""

import ast

from .faults import Crash, Kill, Storm
from .script import Script
from .shrink import as_test, shrink

BIG = Script(
    "gang restarts",
    seed=1234,
    timing="hostile",
    faults=(Kill(1.0), Crash(3, True), Storm(2.0, 5.0, 500, 60), Kill(9.0), Crash(7, False)),
    operators=2,
    restart=True,
)


def test_only_what_the_failure_needs_is_left() -> None:
    small = shrink(BIG, lambda script: Crash(7, False) in script.faults and script.operators == 2)
    assert small == Script("gang restarts", seed=0, timing="calm", faults=(Crash(7, False),), operators=2, without=(0,))


def test_two_faults_that_need_each_other_are_both_left() -> None:
    small = shrink(BIG, lambda script: {Kill(1.0), Crash(7, False)} <= set(script.faults))
    assert small.faults == (Kill(1.0), Crash(7, False))


def test_what_cannot_be_smaller_stays() -> None:
    assert shrink(BIG, lambda script: False) == BIG


def test_the_printed_test_is_python_that_repeats_the_script() -> None:
    text = as_test(BIG, "same end")
    tree = ast.parse(text)
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert names == ["test_same_end_seed_1234"]
    call = next(
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Script"
    )
    made = eval(ast.unparse(call), {"Script": Script, "Crash": Crash, "Kill": Kill, "Storm": Storm})
    assert made == BIG
