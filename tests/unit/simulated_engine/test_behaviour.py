"""What SIMULATED_ENGINE and /simulate may say."""

import json

import pytest

from tests.e2e.gpu.engine.behaviour import Behaviour, merged, shown


def test_a_merge_changes_what_it_says_and_null_is_the_default() -> None:
    changed = merged(Behaviour(), '{"seed": 7, "ttftSeconds": 2, "wedged": true}')
    assert changed == Behaviour(seed=7, ttft_seconds=2, wedged=True)
    assert merged(changed, '{"seed": null, "wedged": false}') == Behaviour(ttft_seconds=2)
    assert merged(Behaviour(), json.dumps(shown(changed))) == changed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "no JSON object"),
        ('{"weged": true}', "unknown: weged. There are: seed, startSeconds"),
        ('{"wedged": 1}', "wedged: 1 is neither true nor false"),
        ('{"seed": true}', "seed: true is no whole number"),
        ('{"jitter": 1.5}', "jitter: 1.5 is no number from 0 to 1"),
        ('{"ttftSeconds": -1}', "ttftSeconds: -1 is no number"),
        ('{"tokenSeconds": "1"}', "tokenSeconds"),
        ('{"startSeconds": NaN}', "startSeconds"),
        ('{"status": 404}', "status: 404 is no status from 500 to 599"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        merged(Behaviour(), text)
