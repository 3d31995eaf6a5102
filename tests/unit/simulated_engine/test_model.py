"""The timing model in virtual time: slots, queue, prefix cache, wedge; and what it says."""

from dataclasses import replace

import pytest

from tests.e2e.gpu.engine.behaviour import Behaviour
from tests.e2e.gpu.engine.model import Scheduler, Sequence, Token
from tests.e2e.gpu.engine.words import read, split

EXACT = Behaviour(ttft_seconds=1.0, token_seconds=0.5, jitter=0)
LONG = " ".join(f"word{number}" for number in range(40))


def sequence(prompt: str = "hello", *, tokens: int = 3, at: float = 0.0, choice: int = 0, seed: int = 0) -> Sequence:
    return Sequence(
        prompt=read(seed, "model", split(prompt)), choice=choice, max_tokens=tokens, ignore_eos=True, submitted_at=at
    )


def scheduler(*, slots: int = 2, kv_tokens: int = 1000, behaviour: Behaviour = EXACT) -> Scheduler:
    return Scheduler(slots=slots, kv_tokens=kv_tokens, behaviour=behaviour)


def times(tokens: list[Token], of: Sequence) -> list[float]:
    return [token.at for token in tokens if token.sequence is of]


def words(prompt: str, tokens: int, *, choice: int = 0, seed: int = 0) -> list[str]:
    model = scheduler()
    model.submit(sequence(prompt, tokens=tokens, choice=choice, seed=seed))
    return [token.word for token in model.advance(1000)]


def test_the_first_token_takes_the_ttft_and_each_other_one_its_time() -> None:
    model, one = scheduler(), sequence(at=10.0)
    model.submit(one)
    assert model.next_at() == 11.0
    assert model.advance(10.9) == []
    tokens = model.advance(100)
    assert [(token.at, token.gap_seconds, token.finish) for token in tokens] == [
        (11.0, 1.0, ""),
        (11.5, 0.5, ""),
        (12.0, 0.5, "length"),
    ]
    assert model.next_at() is None


def test_the_third_of_two_slots_starts_the_moment_that_one_is_left() -> None:
    model, first, second, third = scheduler(), sequence(tokens=1), sequence(tokens=5), sequence(tokens=2)
    for one in (first, second, third):
        model.submit(one)
    assert (len(model.running), len(model.waiting)) == (2, 1)
    tokens = model.advance(100)
    assert times(tokens, first) == [1.0]
    assert third.started_at == 1.0
    assert times(tokens, third) == [2.0, 2.5]
    assert [token.at for token in tokens] == sorted(token.at for token in tokens)


def test_who_does_not_fit_the_cache_waits_though_a_slot_is_free() -> None:
    model, first, second = scheduler(kv_tokens=20), sequence(tokens=10), sequence(tokens=10)
    model.submit(first)
    model.submit(second)
    assert list(model.waiting) == [second]
    assert model.held_tokens(first.due_at) == 1
    model.advance(first.due_at)
    assert model.held_tokens(first.due_at) == 2
    model.advance(1 + 9 * 0.5)
    assert model.running == [second]


def test_a_prompt_fills_the_cache_chunk_by_chunk() -> None:
    model, long = scheduler(), sequence(LONG)
    model.submit(long)
    held = [model.held_tokens(now) for now in (0.0, 0.06, 0.13, 0.5, 0.99, 1.0)]
    assert held == [0, 0, 5, 20, 37, 40]


def test_a_prompt_stands_still_while_wedged_and_never_goes_back() -> None:
    model, long = scheduler(), sequence(LONG)
    model.submit(long)
    before = long.computed_tokens(0.5)
    model.wedge(0.5)
    model.resume(10.5)
    assert before <= long.computed_tokens(10.5) < 40
    assert next(token.at for token in model.advance(100)) == 11.0


def test_a_client_that_leaves_makes_room() -> None:
    model, first, second = scheduler(slots=1), sequence(), sequence()
    model.submit(first)
    model.submit(second)
    model.cancel(first, 0.5)
    assert model.running == [second]
    assert second.started_at == 0.5
    model.cancel(first, 0.6)
    model.cancel(second, 0.7)
    assert not model.running


def test_a_prompt_with_a_cached_beginning_is_read_sooner() -> None:
    model, first, second, other = scheduler(slots=3), sequence(LONG), sequence(LONG + " more"), sequence("new " + LONG)
    for one in (first, second, other):
        model.submit(one)
    assert (first.cached_tokens, second.cached_tokens, other.cached_tokens) == (0, 32, 0)
    assert second.due_at == pytest.approx(1 - 32 / 41)


def test_a_wedge_stops_all_and_its_end_lets_all_go_on_as_much_later() -> None:
    model, one, late = scheduler(), sequence(), sequence(at=2.0)
    model.submit(one)
    assert times(model.advance(1.2), one) == [1.0]
    model.wedge(1.2)
    model.submit(late)
    assert model.advance(50) == []
    assert (len(model.running), len(model.waiting)) == (1, 1)
    model.resume(101.2)
    tokens = model.advance(200)
    assert times(tokens, one) == [101.5, 102.0]
    assert times(tokens, late)[0] == pytest.approx(102.2)


def test_jitter_is_drawn_from_the_seed_and_bounded() -> None:
    def gaps(seed: int) -> list[float]:
        model = scheduler(behaviour=replace(EXACT, jitter=0.2))
        model.submit(sequence(tokens=50, seed=seed))
        return [token.gap_seconds for token in model.advance(1000)][1:]

    assert gaps(1) == gaps(1) != gaps(2)
    assert len(set(gaps(1))) > 10
    assert all(0.4 <= gap <= 0.6 for gap in gaps(1))


def test_an_answer_follows_from_seed_prompt_and_choice_and_goes_on_where_it_was_cut() -> None:
    whole = words("tell me", 20)
    assert whole == words("tell me", 20)
    assert words(" ".join(["tell me", *whole[:8]]), 12) == whole[8:]
    assert len({tuple(whole), tuple(words("tell me", 20, seed=1)), tuple(words("tell me", 20, choice=1))}) == 3


def test_an_answer_without_a_limit_ends_by_itself() -> None:
    model, one = scheduler(), sequence(tokens=500)
    one.ignore_eos = False
    model.submit(one)
    tokens = model.advance(1000)
    assert 64 <= len(tokens) < 128
    assert tokens[-1].finish == "stop"
