"""No podTemplate, however misshapen, may stop a plan: what is wrong with it must reach the status."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.plan.training import plan

from .inference.world import settle, spec
from .training import builders as training

SCALARS = st.none() | st.booleans() | st.integers(-9, 70000) | st.sampled_from(["", "main", "x", "pytorch", "tmp", "é"])
FIELDS = st.sampled_from(
    [
        "name",
        "env",
        "ports",
        "containerPort",
        "volumeMounts",
        "mountPath",
        "securityContext",
        "capabilities",
        "drop",
        "value",
        "valueFrom",
        "resources",
        "limits",
        "hostPath",
        "projected",
        "sources",
        "image",
        "lifecycle",
        "args",
    ]
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4), max_leaves=12
)
POD_FIELDS = st.sampled_from(
    [
        "containers",
        "initContainers",
        "volumes",
        "affinity",
        "tolerations",
        "imagePullSecrets",
        "securityContext",
        "nodeSelector",
        "hostAliases",
        "topologySpreadConstraints",
        "resourceClaims",
        "dnsConfig",
        "unknown",
    ]
)
TEMPLATES = st.fixed_dictionaries({"spec": st.dictionaries(POD_FIELDS, ANYTHING, max_size=4)})


@settings(max_examples=300, deadline=None)
@given(TEMPLATES)
def test_an_inference_service_tells_of_any_template(template: Any) -> None:
    outcome = settle(spec(podTemplate=template))
    assert outcome.status["conditions"][0]["type"] == "Accepted"


@settings(max_examples=300, deadline=None)
@given(TEMPLATES)
def test_a_training_job_plans_with_any_template(template: Any) -> None:
    asked = training.fresh({**training.RECIPE, "podTemplate": template})
    outcome = plan(asked, training.NOW, training.DEFAULTS)
    assert outcome.templates or outcome.reads or outcome.status["conditions"][0]["type"] == "Accepted"
