"""Who is calling, and what asking about it costs the API server."""

import asyncio

import pytest

from slipway.kube.client import KubeClient
from slipway.reconcile import limiter
from slipway.reconcile import tokens as tokens_module
from slipway.reconcile.limiter import Limiter
from slipway.reconcile.tokens import Caller, Tokens, TooManyFailed, caller_of, may_be_for_us

from .fakeapi import FakeApi
from .tokens import AUDIENCE, Obj, jwt, review


@pytest.mark.parametrize(
    ("status", "caller"),
    [
        (review(), Caller("ns", "pod", "pod-uid")),
        (review(audience="https://kubernetes.default.svc"), None),
        (review() | {"audiences": None}, None),
        (review() | {"authenticated": False}, None),
        (review(user="kubernetes-admin"), None),
        ({}, None),
        (review() | {"user": {"username": "system:serviceaccount:ns:default"}}, Caller("ns", "", "")),
    ],
)
def test_who_a_token_review_names(status: Obj, caller: Caller | None) -> None:
    assert caller_of(status) == caller


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_token_is_reviewed_once_a_minute_and_a_bad_one_once_in_ten_seconds(
    client: KubeClient, fake: FakeApi
) -> None:
    good, bad, clock = jwt(name="good"), jwt(name="bad"), Clock()
    tokens = Tokens(client, clock=clock)
    fake.reviews[good] = review()
    for clock.now in (0.0, 59.0, 61.0):
        assert await tokens.caller(good, "address") == Caller("ns", "pod", "pod-uid")
    assert len(fake.requests) == 2
    assert fake.requests[0].body["spec"] == {"token": good, "audiences": [AUDIENCE]}
    for clock.now in (100.0, 109.0, 111.0):
        assert await tokens.caller(bad, "address") is None
    assert len(fake.requests) == 4


async def test_remembered_tokens_are_bounded(
    client: KubeClient, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "REFUSED_MOST", 2)
    tokens = Tokens(client, clock=Clock())
    for name in ("a", "b", "c", "a", "c"):
        await tokens.caller(jwt(name=name), "address")
    assert len(fake.requests) == 4, "a and b are remembered, and c is not"


async def test_a_few_more_jobs_than_can_be_remembered_cost_a_few_more_reviews(
    client: KubeClient, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First in, first out, one job too many cost a review for each report of every job."""
    monkeypatch.setattr(tokens_module, "ACCEPTED_MOST", 10)
    clock, jobs = Clock(), [jwt(name=f"job-{number}") for number in range(11)]
    tokens = Tokens(client, clock=clock)
    for each in jobs:
        fake.reviews[each] = review()
    for clock.now in (0.0, 10.0, 20.0, 30.0, 40.0):
        for each in jobs:
            assert await tokens.caller(each, "address") == Caller("ns", "pod", "pod-uid")
    assert len(fake.requests) == 10 + 5
    for clock.now in (61.0, 62.0):
        await tokens.caller(jobs[-1], "address")
    assert len(fake.requests) == 10 + 5 + 1, "those whose time is over make room"


async def test_strangers_do_not_oust_jobs(client: KubeClient, fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "ACCEPTED_MOST", 2)
    tokens, good = Tokens(client, clock=Clock()), jwt(name="good")
    for number in range(4):
        await tokens.caller(jwt(name=f"bad-{number}"), "address")
    fake.reviews[good] = review()
    for _ in range(3):
        await tokens.caller(good, "address")
    assert len(fake.requests) == 4 + 1


@pytest.mark.parametrize(
    ("token", "may_be"),
    [
        (jwt(), True),
        (jwt(aud=AUDIENCE), True),
        (jwt(aud=["other", AUDIENCE]), True),
        (jwt(aud=["https://kubernetes.default.svc"]), False),
        (jwt(aud="slipway.dev/progress-of-others"), False),
        (jwt(aud=None), False),
        (jwt(exp=1000.0), False),
        (jwt(exp=1041), True),
        (jwt(exp=1040), False),
        (jwt(exp=10**400), True),
        (jwt(exp=None), False),
        (jwt(exp="4000000000"), False),
        ("nonsense", False),
        ("a.b.c", False),
        (jwt() + ".more", False),
        ("." + jwt().split(".")[0] + ".", False),
        (".W10.", False),
        (".8J+.", False),
        ("\u20ac.\u20ac.\u20ac", False),
        ("\udcff" + jwt(), False),
    ],
)
def test_what_a_token_says_of_itself(token: str, may_be: bool) -> None:
    assert may_be_for_us(token, 1100.0) is may_be


async def test_what_is_no_token_for_us_costs_no_review(client: KubeClient, fake: FakeApi) -> None:
    tokens = Tokens(client)
    for number in range(100):
        assert await tokens.caller(f"random-{number}", "address") is None
        assert await tokens.caller(jwt(exp=number), "address") is None
    assert fake.requests == []


async def test_failed_reviews_are_rationed_by_address(client: KubeClient, fake: FakeApi) -> None:
    clock = Clock()
    tokens = Tokens(client, clock=clock)
    at_once = [tokens.caller(jwt(number=number), "hostile") for number in range(100)]
    answers = await asyncio.gather(*at_once, return_exceptions=True)
    assert answers.count(None) == len(fake.requests) == 20
    assert sum(isinstance(answer, TooManyFailed) for answer in answers) == 80
    fake.reviews[jwt()] = review()
    assert await tokens.caller(jwt(), "other") == Caller("ns", "pod", "pod-uid")
    clock.now = 1.0
    assert await tokens.caller(jwt(number=-1), "hostile") is None


async def test_valid_tokens_are_not_rationed(client: KubeClient, fake: FakeApi) -> None:
    tokens = Tokens(client, clock=Clock())
    for number in range(50):
        fake.reviews[jwt(number=number)] = review()
        assert await tokens.caller(jwt(number=number), "shared")


def test_the_table_of_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "BUCKETS", 2)
    buckets = Limiter(Clock(), per_second=1.0, burst=1.0)
    assert [buckets.take(name) for name in ("a", "a", "b", "c", "a")] == [True, False, True, True, True]
