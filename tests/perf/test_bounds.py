"""The checker of bounds can fail, in every way in which it should; the courses that are committed can be read."""

from pathlib import Path

import pytest

from .bounds import Bound, broken, read
from .counting import ApiRequests, Sample, parse, percentile, since

HERE = Path(__file__).parent
BOUNDS = {"rate": Bound(least=200.0), "memory": Bound(most=300.0), "between": Bound(least=1.0, most=2.0)}


def test_what_keeps_its_bounds_passes() -> None:
    assert broken({"rate": 200.0, "memory": 300.0, "between": 1.5, "not bounded": 9.0}, BOUNDS) == []


@pytest.mark.parametrize(
    ("figures", "problem"),
    [
        ({"rate": 199.0, "memory": 1.0, "between": 1.0}, "rate is 199: it is to be at least 200"),
        ({"rate": 201.0, "memory": 300.5, "between": 1.0}, "memory is 300.5: it is to be at most 300"),
        ({"rate": 201.0, "memory": 1.0, "between": 2.5}, "between is 2.5: it is to be at least 1 and at most 2"),
        ({"rate": 201.0, "memory": 1.0}, "between was not measured: it is to be at least 1 and at most 2"),
        ({"rate": float("nan"), "memory": 1.0, "between": 1.0}, "rate is nan: it is to be at least 200"),
    ],
)
def test_what_breaks_one_is_told(figures: dict[str, float], problem: str) -> None:
    assert broken(figures, BOUNDS) == [problem]


@pytest.mark.parametrize("course", sorted(HERE.glob("*.yaml")), ids=lambda path: path.stem)
def test_committed_courses_are_read(course: Path) -> None:
    known = read(course)
    assert known.sizes
    assert known.bounds
    assert len(broken({}, known.bounds)) == len(known.bounds), "nothing measured breaks every bound"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sizes: {}\nbounds: {a: {maximum: 1}}", "bounds.a: say `least`, `most`, or both"),
        ("sizes: {}\nbounds: {a: {}}", "bounds.a: say"),
        ("sizes: {}\nbounds: {}\nlimits: {}", "unknown keys: limits"),
    ],
)
def test_a_bound_that_means_nothing_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ValueError, match=problem):
        read(tmp_path / "x.yaml")


BEFORE = """# HELP apiserver_request_total requests
apiserver_request_total{code="201",dry_run="",resource="pytorchjobs",subresource="",verb="POST"} 5
apiserver_request_total{code="200",dry_run="",resource="leases",subresource="",verb="PUT"} 5
"""
AFTER = """apiserver_request_total{code="201",dry_run="",resource="pytorchjobs",subresource="",verb="POST"} 8
apiserver_request_total{code="200",dry_run="",resource="leases",subresource="",verb="PUT"} 9
apiserver_request_total{code="201",dry_run="",resource="events",subresource="",verb="POST"} 2
apiserver_request_total{code="201",dry_run="All",resource="podtemplates",subresource="",verb="POST"} 1e+01
apiserver_request_total{code="200",dry_run="",resource="trainingjobs",subresource="status",verb="APPLY"} 4
apiserver_request_total{code="200",dry_run="",resource="pods",subresource="",verb="LIST"} 7
"""


def test_writes_are_counted_without_leases_dry_runs_and_events() -> None:
    asked = ApiRequests.between(BEFORE, AFTER)
    assert (asked.writes(), asked.events(), asked.dry_runs()) == (3 + 4, 2, 10)
    assert asked.writes(resources=frozenset({"pytorchjobs"})) == 3
    assert asked.of("LIST", "pods") == 7
    assert asked.table()["APPLY trainingjobs/status"] == 4


def test_samples_are_read_with_and_without_labels() -> None:
    found = parse('a{x="1",y="a \\"b\\""} 2\na_total 3\nb 4\n', "a", "b")
    assert found == {Sample("a", (("x", "1"), ("y", 'a \\"b\\"'))): 2.0, Sample("b", ()): 4.0}
    assert since({Sample("b", ()): 4.0}, found) == {Sample("a", (("x", "1"), ("y", 'a \\"b\\"'))): 2.0}


def test_a_percentile_of_nothing_is_an_error() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 0.5)
