"""Small models of the controllers that work beside the operator, each written from the real one's source.

They see the API server as it is, after a delay; what they do wrong in reality (staleness of their own) is not theirs to
show here, but their slowness is, and every order in which they and the operator may meet.
"""

from .base import Controller
from .claims import Claims
from .deployments import Deployments
from .garbage import Garbage
from .keda import Keda
from .kubelet import Kubelet
from .kueue import Kueue
from .quotas import QuotaController
from .training import TrainingOperator

ALL: tuple[type[Controller], ...] = (
    TrainingOperator,
    Kueue,
    Deployments,
    Keda,
    Kubelet,
    Claims,
    Garbage,
    QuotaController,
)

__all__ = ["ALL", "Controller"]
