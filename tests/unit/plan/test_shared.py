"""hashing, clock and conditions: what both planners build on."""

from typing import Any

import pytest

from slipway.plan import clock, conditions, hashing, names
from slipway.plan.conditions import Condition, Finding

from .training.builders import EARLIER_TEXT, NOW, NOW_TEXT, apart


def test_the_hash_is_of_the_content_and_not_of_the_order_of_keys() -> None:
    assert hashing.short_hash({"a": 1, "b": [2]}) == hashing.short_hash({"b": [2], "a": 1}) == "0855bfc20eb6"


def test_the_hash_tells_a_number_from_its_text_and_one_order_of_a_list_from_another() -> None:
    values = [1, "1", [1, 2], [2, 1], {"1": 2}]
    assert len({hashing.short_hash(value) for value in values}) == len(values)


def test_canonical_json_has_no_spaces_and_no_letters_beyond_ascii() -> None:
    assert hashing.canonical({"b": "é", "a": [1, None]}) == '{"a":[1,null],"b":"\\u00e9"}'


def test_what_is_no_json_has_no_hash() -> None:
    with pytest.raises(ValueError, match="JSON"):
        hashing.canonical(float("nan"))
    with pytest.raises(TypeError):
        hashing.canonical(object())


def test_times_are_written_in_utc_with_whole_seconds() -> None:
    assert clock.rfc3339(NOW) == NOW_TEXT
    assert clock.rfc3339(NOW + 0.999) == NOW_TEXT
    assert clock.rfc3339(0) == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(("text", "seconds"), [(NOW_TEXT, NOW), ("2027-01-15T09:00:00.500000+01:00", NOW + 0.5)])
def test_times_are_read_with_any_offset(text: Any, seconds: Any) -> None:
    assert clock.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "None", "yesterday"])
def test_what_is_no_time_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        clock.seconds(text)


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^'2027-01-15T08:00:00' has no time zone: write it as 2026-01-02T03:04:05Z$"):
        clock.seconds("2027-01-15T08:00:00")


def test_what_may_be_absent_is_none() -> None:
    assert clock.epoch(NOW_TEXT) == NOW
    assert [clock.epoch(text) for text in (None, "", "yesterday", "2027-01-15T08:00:00")] == [None] * 4


def before(status: Any = "False", reason: Any = "Old") -> Any:
    return {
        "conditions": [
            {"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": EARLIER_TEXT},
            "junk",
        ]
    }


def test_a_new_condition_turned_now() -> None:
    assert conditions.write({}, [conditions.true("Ready", "Yes", "all is well")], generation=7, now=NOW) == [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Yes",
            "message": "all is well",
            "observedGeneration": 7,
            "lastTransitionTime": NOW_TEXT,
        }
    ]


@pytest.mark.parametrize(
    ("condition", "since"),
    [
        (conditions.false("Ready", "New", "another message"), EARLIER_TEXT),
        (conditions.true("Ready", "Old"), NOW_TEXT),
        (conditions.unknown("Ready", "Old"), NOW_TEXT),
    ],
)
def test_the_transition_time_moves_with_the_status_alone(condition: Any, since: Any) -> None:
    written = conditions.write(before(), [condition], generation=1, now=NOW)
    assert written[0]["lastTransitionTime"] == since


def test_a_condition_without_a_time_gets_one() -> None:
    assert (
        conditions.write(
            {"conditions": [{"type": "Ready", "status": "False"}]},
            [conditions.false("Ready", "X")],
            generation=1,
            now=NOW,
        )[0]["lastTransitionTime"]
        == NOW_TEXT
    )


def test_conditions_are_written_in_the_wanted_order_and_others_dropped() -> None:
    wanted = [conditions.false("B", "X"), conditions.false("A", "X")]
    assert [each["type"] for each in conditions.write(before(), wanted, generation=1, now=NOW)] == ["B", "A"]


def test_makers_of_conditions() -> None:
    assert conditions.true("T", "R", "m") == Condition("T", "True", "R", "m")
    assert conditions.false("T", "R") == Condition("T", "False", "R", "")
    assert conditions.unknown("T", "R") == Condition("T", "Unknown", "R", "")
    assert Finding("R", "m").reason == "R"


def test_a_message_is_cut_at_its_bound_and_says_so() -> None:
    assert conditions.bounded("x" * 4096) == "x" * 4096
    assert conditions.bounded("x" * 4097) == "x" * 4095 + "…"
    assert conditions.bounded("abcd", 3) == "ab…"
    long = conditions.write({}, [conditions.true("T", "R", "y" * 5000)], generation=1, now=NOW)
    assert len(long[0]["message"]) == 4096


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        ({}, False),
        ({"conditions": "junk"}, False),
        ({"conditions": None}, False),
        (before("True"), True),
        (before("False"), False),
        (before("Unknown"), False),
        ({"conditions": [{"type": "Other", "status": "True"}]}, False),
    ],
)
def test_whether_a_condition_is_true(status: Any, holds: Any) -> None:
    assert conditions.is_true(apart(status), "Ready") is holds
    assert (conditions.holding(status, "Ready") is not None) is holds


@pytest.mark.parametrize(
    ("condition", "turned"),
    [
        (conditions.false("Ready", "Old", "only the message is new"), False),
        (conditions.false("Ready", "New"), True),
        (conditions.true("Ready", "Old"), True),
        (conditions.false("Other", "Old"), True),
    ],
)
def test_a_turn_is_of_status_or_reason(condition: Any, turned: Any) -> None:
    assert conditions.turned(before(), condition) is turned


def test_names() -> None:
    assert names.pytorchjob("demo", 3) == "demo-3"
    assert names.output_claim("demo") == "demo-output"
    assert names.output_path("u") == "/slipway/output/u"
    assert names.model_directory("u") == "u/model"
    assert names.model_path("u/model") == "/slipway/model/u/model"
    assert names.model_path("") == "/slipway/model"
    assert names.qualified_model("team", "chat") == "team/chat"
