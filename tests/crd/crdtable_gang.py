"""The table's rows on what becomes of a TrainingJob's gang: failure policy, deadlines, suspension, queues."""

from typing import Any

from .crdtable import NOT_A_NAME, RECIPE_JOB, Case

POLICY = "spec.failurePolicy"
SCHEDULING = "spec.scheduling"
NO_PATTERN = "must be a regular expression in RE2's syntax"


def rules(*given: Any) -> dict[str, Any]:
    return {f"{POLICY}.rules": list(given)}


GANG_CASES = (
    # -- failure rules
    Case(
        "failure rules",
        RECIPE_JOB,
        rules(
            {"exitCodes": [137, 143], "reasons": ["OOMKilled", "Evicted"], "action": "RestartGangFree"},
            {"message": r"(?i)NCCL (error|timeout)\b", "action": "RestartGang", "maxRestarts": 0},
            {"exitCodes": [1], "action": "Fail"},
        ),
    ),
    Case("no failure rules", RECIPE_JOB, rules()),
    Case(
        "failure rule for everything",
        RECIPE_JOB,
        rules({"exitCodes": [1], "action": "Fail"}, {"action": "RestartGangFree"}),
        f"{POLICY}.rules[1]",
        "a rule needs exitCodes, reasons or message: without them it would hold for every failure",
    ),
    Case(
        "failure rule that fails so often",
        RECIPE_JOB,
        rules({"exitCodes": [1], "action": "Fail", "maxRestarts": 2}),
        f"{POLICY}.rules[0]",
        "maxRestarts counts restarts, and Fail makes none: leave it out",
    ),
    *(
        Case(
            f"failure message {pattern}",
            RECIPE_JOB,
            rules({"message": pattern, "action": "Fail"}),
            f"{POLICY}.rules[0].message",
            NO_PATTERN,
        )
        for pattern in ("(", "a**", r"(a)\1", "(?=a)", "[z-a]")
    ),
    Case(
        "failure rule without action",
        RECIPE_JOB,
        rules({"exitCodes": [1]}),
        f"{POLICY}.rules[0].action",
        "Required value",
    ),
    Case(
        "failure rule's action",
        RECIPE_JOB,
        rules({"exitCodes": [1], "action": "RestartPod"}),
        f"{POLICY}.rules[0].action",
        'supported values: "Fail", "RestartGang", "RestartGangFree"',
    ),
    Case(
        "failure rule's reason",
        RECIPE_JOB,
        rules({"reasons": ["DeadlineExceeded"], "action": "RestartGang"}),
        f"{POLICY}.rules[0].reasons[0]",
        'supported values: "PodFailed", "OOMKilled"',
    ),
    Case(
        "failure rule's exit code given twice",
        RECIPE_JOB,
        rules({"exitCodes": [1, 1], "action": "Fail"}),
        f"{POLICY}.rules[0].exitCodes[1]",
        "Duplicate value",
    ),
    # -- pauses
    Case("no pause", RECIPE_JOB, {POLICY: {"backoffSeconds": 0, "backoffLimitSeconds": 0}}),
    Case("pause as long as the longest", RECIPE_JOB, {POLICY: {"backoffSeconds": 300}}),
    Case(
        "pause longer than the longest",
        RECIPE_JOB,
        {POLICY: {"backoffSeconds": 301}},
        POLICY,
        "backoffSeconds is the first pause and backoffLimitSeconds the longest: the first must not be longer",
    ),
    # -- queue and scheduling
    Case("queue", RECIPE_JOB, {"spec.queue": "team.gpus-1"}),
    Case("queue's name", RECIPE_JOB, {"spec.queue": "GPUs"}, "spec.queue", NOT_A_NAME),
    Case(
        "everything about scheduling",
        RECIPE_JOB,
        {
            "spec.queue": "gpus",
            "spec.scheduling": {
                "priorityClass": "batch.low",
                "scheduler": "scheduler-plugins-scheduler",
                "queuePriorityClass": "nightly",
                "topology": {"preferred": "cloud.provider.com/topology-block"},
            },
        },
    ),
    Case(
        "scheduler and priority without queue",
        RECIPE_JOB,
        {f"{SCHEDULING}.priorityClass": "a", f"{SCHEDULING}.scheduler": "b"},
    ),
    *(
        Case(
            f"{field} without queue",
            RECIPE_JOB,
            {f"{SCHEDULING}.{field}": value},
            "spec",
            "scheduling.topology and scheduling.queuePriorityClass are for Kueue: name a queue, or leave them out",
        )
        for field, value in {"topology": {"required": "rack"}, "queuePriorityClass": "a"}.items()
    ),
    *(
        Case(
            f"topology {topology}",
            RECIPE_JOB,
            {"spec.queue": "gpus", f"{SCHEDULING}.topology": topology},
            f"{SCHEDULING}.topology",
            "exactly one of required and preferred must be set",
        )
        for topology in ({}, {"required": "rack", "preferred": "rack"})
    ),
    *(
        Case(
            f"topology of {field} {key!r}",
            RECIPE_JOB,
            {"spec.queue": "gpus", f"{SCHEDULING}.topology": {field: key}},
            f"{SCHEDULING}.topology.{field}",
            'must be the key of a node label, such as "topology.kubernetes.io/zone"',
        )
        for field in ("required", "preferred")
        for key in ("a b", "/rack", "Zone/rack", "rack/", "a..b/rack", "a-./rack", "a.-b/rack", "a/b/rack")
    ),
    *(
        Case(
            f"topology of a long {field} {key!r}",
            RECIPE_JOB,
            {"spec.queue": "gpus", f"{SCHEDULING}.topology": {field: key}},
            f"{SCHEDULING}.topology.{field}",
            "no node can have it: at most 253 characters before the '/', and 63 behind it",
        )
        for field in ("required", "preferred")
        for key in ("r" * 64, "a/" + "r" * 64, "a" * 254 + "/rack")
    ),
    *(
        Case(f"topology of {key!r}", RECIPE_JOB, {"spec.queue": "gpus", f"{SCHEDULING}.topology": {"required": key}})
        for key in ("r" * 63, "a" * 253 + "/" + "R" * 63, "a.b-c.d/Rack_1.x")
    ),
    *(
        Case(
            f"{field}",
            RECIPE_JOB,
            {"spec.queue": "gpus", f"{SCHEDULING}.{field}": "A"},
            f"{SCHEDULING}.{field}",
            NOT_A_NAME,
        )
        for field in ("priorityClass", "scheduler", "queuePriorityClass")
    ),
    Case(
        "priority of the system's",
        RECIPE_JOB,
        {f"{SCHEDULING}.priorityClass": "system-cluster-critical"},
        f"{SCHEDULING}.priorityClass",
        "would preempt other tenants and the cluster's own pods: name another class",
    ),
)
