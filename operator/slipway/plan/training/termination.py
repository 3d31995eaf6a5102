"""What the launcher left in a pod's termination message: how the ranks failed, or how good the model is.

The message is JSON of the launcher's making. A command of the user's own runs under torchrun, which exits with 1
whatever happened: then the message is the end of the pod's log, where torchrun reports the first failure. Whatever is
not as it should be counts as absent: a job whose message is broken still ends as its exit code says.
"""

import json
import re
import signal
from collections.abc import Mapping
from typing import Any

from ..observed import Container, Obj, Pod
from ..pod.problems import ending
from .situation import CONTAINER

DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
LINE = "\n"
DECIMAL_MAX = 24  # api.trainingjob.Evaluation
# torchrun's last words; `Failures:` before it are of those that failed in consequence.
ROOT_CAUSE = re.compile(
    r"^Root Cause \(first observed failure\):$.*?^ *rank *: (\d{1,9}) .*?^ *exitcode *: (-?\d{1,3}) ",
    re.MULTILINE | re.DOTALL,
)
CODE_MAX, SIGNALLED = 255, 128  # a shell's 128 + n for signal n
FIGURES = ("perplexity", "exactMatch", "rouge1", "rouge2", "rougeL")  # that an evaluation may have
INVALID_RECIPE = 2  # the launcher's exit code for a recipe or data that no restart mends
NOT_GOOD_ENOUGH = 3  # its exit code for a model that does not reach output.require
STALLED_CODE = 75  # of the trainer's watchdog: no step within the bound
KILLED = 137  # 128 + SIGKILL: no rank does this to itself, so it is a cause and not a consequence


def main_container(pod: Pod) -> Container | None:
    return next((container for container in pod.containers if container.name == CONTAINER), None)


def exit_code(pod: Pod) -> int | None:
    """The main container's, once it has ended."""
    main = main_container(pod)
    return main.exit_code if main and main.state == "terminated" else None


def failed(pod: Pod) -> bool:
    return pod.phase == "Failed" or exit_code(pod) not in (None, 0)


def is_cause(pod: Pod) -> bool:
    """Whether this failed pod was ended from outside, or by its watchdog: its peers then fail in consequence, with
    errors of their own.

    SIGABRT does not count: NCCL's watchdog aborts those that wait for a peer.
    """
    killed = _first_failure(pod).get("signal") not in (None, "", "SIGABRT")
    return bool(pod.reason) or exit_code(pod) == KILLED or rank_exit_code(pod) == STALLED_CODE or killed


def rank_exit_code(pod: Pod) -> int | None:
    """Of the rank that failed first, 128 + n for signal n; the main container's where no rank is told of."""
    code = _first_failure(pod).get("exitCode")
    if not isinstance(code, int) or isinstance(code, bool) or code == 0:
        code = exit_code(pod)
    if code is None:
        return None
    code = SIGNALLED - code if code < 0 else code
    return code if 0 < code <= CODE_MAX else None


def why_failed(pod: Pod) -> str:
    """One sentence on a failed pod: what its first failing rank said, else how it ended as Kubernetes tells it."""
    return f"pod {pod.name}: {_rank(pod) or _kubernetes(pod)}"


def evaluation(pod: Pod) -> Obj | None:
    """status.evaluation, from rank 0's pod after success, or where the model is not good enough."""
    found = _message(pod).get("evaluation")
    if not isinstance(found, dict):
        return None
    needed = {name: found.get(name) for name in ("bitsPerByte", "unigramBitsPerByte")}
    if not all(_is_decimal(value) for value in needed.values()):
        return None
    figures = {name: found[name] for name in FIGURES if _is_decimal(found.get(name))}
    return needed | _answers(found) | figures


def _answers(found: Obj) -> Obj:
    count = found.get("answers")
    return {"answers": count} if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else {}


def _is_decimal(value: object) -> bool:
    return isinstance(value, str) and len(value) <= DECIMAL_MAX and DECIMAL.fullmatch(value) is not None


def _rank(pod: Pod) -> str:
    failure = _first_failure(pod)
    rank, code, signal = failure.get("rank"), failure.get("exitCode"), failure.get("signal")
    if not isinstance(rank, int):
        return ""
    how = f"was killed by {signal}" if signal else f"exited with {code}"
    said = [text for text in (str(failure.get("message") or "").strip(), _stacks(pod)) if text]
    return f"rank {rank} {how}" + (f": {LINE.join(said)}" if said else "")


def _stacks(pod: Pod) -> str:
    """Where the ranks were, of a gang that stalled."""
    stacks = _message(pod).get("stacks")
    return stacks.strip() if isinstance(stacks, str) else json.dumps(stacks) if stacks else ""


def _kubernetes(pod: Pod) -> str:
    if pod.reason:
        return pod.reason + (f": {pod.message}" if pod.message else "")
    ended = [container for container in pod.containers if container.exit_code not in (None, 0)]
    if ended:
        return f"container {ended[0].name} {ending(ended[0])}"
    return pod.message or "it failed, and Kubernetes does not say why"


def _first_failure(pod: Pod) -> Mapping[str, Any]:
    failures = _message(pod).get("failures")
    first = failures[0] if isinstance(failures, list) and failures else None
    return first if isinstance(first, dict) else _torchruns_first(pod)


def _torchruns_first(pod: Pod) -> Mapping[str, Any]:
    main = main_container(pod)
    found = ROOT_CAUSE.search(main.message) if main else None
    if main is None or found is None:
        return {}
    rank, code = (int(group) for group in found.groups())
    told = {"rank": rank, "exitCode": code, "message": main.message}
    return told | ({"signal": _signal_name(-code)} if code < 0 else {})


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _message(pod: Pod) -> Mapping[str, Any]:
    main = main_container(pod)
    try:
        found = json.loads(main.message) if main else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
