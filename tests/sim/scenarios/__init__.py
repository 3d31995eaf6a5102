"""What users do, as data. Each is run undisturbed first, to see that it ends as it should, and then disturbed."""

from ..scenario import Scenario
from .classes import CLASSED
from .elastic import ELASTIC
from .gang import GANG
from .hindered import HINDERED
from .leaves import LEAVES
from .serving import SERVING
from .together import TOGETHER
from .training import TRAINING

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (*TRAINING, *GANG, *ELASTIC, *SERVING, *TOGETHER, *HINDERED, *CLASSED, *LEAVES)
}

__all__ = ["SCENARIOS"]
