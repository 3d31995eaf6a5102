"""What the kubelet asks of a pod, and how soon it acts: all three verdicts are the sidecar's, about the engine.

Ready is asked of the sidecar's own container, so that the pod leaves the endpoints while the engine still runs.
Started and live are asked of the engine's, since that is what the kubelet is to restart. A sidecar that does not answer
looks as a wedged engine does: it is forgiven two answers, and all of them while the engine starts.
"""

from ..names import SIDECAR_PORT
from ..observed import Obj

STARTUP_PERIOD_SECONDS = 2
LIVE_PERIOD_SECONDS = 3
LIVE_FAILURES = 3
# A wedged engine ends nothing that it has: its connections break soon, and the gateway asks another replica.
END_SECONDS = 1


def readiness() -> Obj:
    """The sidecar judges the heartbeat; the probe only fetches its verdict, and forgives one slow answer."""
    return {**_probe("/readyz"), "periodSeconds": 2, "failureThreshold": 2}


def startup(startup_seconds: int) -> Obj:
    """Until the first token; an engine that is late with it is started again."""
    failures = -(-startup_seconds // STARTUP_PERIOD_SECONDS)
    asked = {"periodSeconds": STARTUP_PERIOD_SECONDS, "failureThreshold": failures}
    return {**_probe("/startedz"), **asked, "terminationGracePeriodSeconds": END_SECONDS}


def liveness() -> Obj:
    """From then on; a wedged engine is started again."""
    asked = {"periodSeconds": LIVE_PERIOD_SECONDS, "failureThreshold": LIVE_FAILURES}
    return {**_probe("/livez"), **asked, "terminationGracePeriodSeconds": END_SECONDS}


def _probe(path: str) -> Obj:
    return {"httpGet": {"path": path, "port": SIDECAR_PORT, "scheme": "HTTP"}, "timeoutSeconds": 3}
