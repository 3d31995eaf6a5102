"""Conformance of watches: which events a version and a selector give, and in what state objects are told."""

from .conformance import Bench, case, container, gang, job, pod, with_meta


@case
def a_watch_tells_every_change(bench: Bench) -> None:
    start = bench.version("pytorchjobs")
    bench.create("pytorchjobs", gang("a"))
    bench.create("pytorchjobs", gang("b"))
    bench.merge("pytorchjobs", "a", {"spec": {"x": 1}})
    bench.merge("pytorchjobs", "a", {"spec": {"x": 1}})
    bench.delete("pytorchjobs", "a")
    assert bench.watch("pytorchjobs", start) == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "a"),
    ]


@case
def a_watch_goes_on_from_a_listing(bench: Bench) -> None:
    bench.create("pytorchjobs", gang("a"))
    start = bench.version("pytorchjobs")
    bench.create("pytorchjobs", gang("b"))
    assert bench.watch("pytorchjobs", start) == [("ADDED", "b")]


@case
def objects_that_start_and_stop_to_match(bench: Bench) -> None:
    start = bench.version("pytorchjobs")
    bench.create("pytorchjobs", with_meta(gang("a"), labels={"mine": "yes"}))
    bench.create("pytorchjobs", gang("b"))
    bench.merge("pytorchjobs", "b", {"metadata": {"labels": {"mine": "yes"}}})
    bench.merge("pytorchjobs", "a", {"spec": {"x": 1}})
    bench.merge("pytorchjobs", "a", {"metadata": {"labels": {"mine": "no"}}})
    bench.merge("pytorchjobs", "a", {"spec": {"x": 2}})
    bench.delete("pytorchjobs", "a")
    bench.delete("pytorchjobs", "b")
    assert bench.watch("pytorchjobs", start, labelSelector="mine=yes") == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "a"),
        ("DELETED", "b"),
    ]


@case
def a_finalizer_in_a_watch(bench: Bench) -> None:
    start = bench.version("trainingjobs")
    bench.create("trainingjobs", with_meta(job(), finalizers=["example.com/hold"]))
    bench.delete("trainingjobs", "job")
    bench.merge("trainingjobs", "job", {"metadata": {"finalizers": None}})
    assert bench.watch("trainingjobs", start) == [("ADDED", "job"), ("MODIFIED", "job"), ("DELETED", "job")]


@case
def a_pods_end_in_a_watch(bench: Bench) -> None:
    start = bench.version("pods")
    bench.create("pods", pod("waiting", containers=[container()]))
    bench.delete("pods", "waiting")
    bench.create("pods", pod("running", nodeName="node"))
    bench.delete("pods", "running")
    bench.delete("pods", "running", {"gracePeriodSeconds": 0})
    assert bench.watch("pods", start) == [
        ("ADDED", "waiting"),
        ("MODIFIED", "waiting"),
        ("DELETED", "waiting"),
        ("ADDED", "running"),
        ("MODIFIED", "running"),
        ("MODIFIED", "running"),
        ("DELETED", "running"),
    ]


@case
def status_writes_are_told(bench: Bench) -> None:
    bench.create("trainingjobs", job())
    start = bench.version("trainingjobs")
    bench.merge("trainingjobs", "job", {"status": {"attempt": 1}}, "status")
    bench.merge("trainingjobs", "job", {"status": {"attempt": 1}}, "status")
    assert bench.watch("trainingjobs", start) == [("MODIFIED", "job")]
