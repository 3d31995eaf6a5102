"""What a podTemplate may not say: each refusal with its path and its mend, and everything else let through."""

from typing import Any

import pytest

from slipway.plan.pod import containers, policy, types
from slipway.plan.pod.policy import Reserved, Violation, violations

from ..training.builders import apart

OURS = Reserved(
    container="pytorch",
    containers=frozenset({"slipway-engine"}),
    volumes=frozenset({"output"}),
    mount_paths=frozenset({"/slipway/output"}),
    env=frozenset({"RANK"}),
    env_prefixes=("SLIPWAY_", "PET_"),
    ports=frozenset({8000}),
    main_fields=(("image", "use spec.image"),),
    gpus="use spec.perNode",
    spec_fields=(("terminationGracePeriodSeconds", "use spec.drainSeconds"),),
)
ROOT = "spec.podTemplate"
NO_HOST = "is out of bounds: leave it out"
NO_ACCOUNT = "pods run without a service account's rights: leave it out"
UNSUPPORTED = "Slipway does not support this field: leave it out"
WEAKER = "it weakens the pod's isolation: leave it out"
VOLUME = (
    "this kind of volume is refused: use configMap, csi, downwardAPI, emptyDir, ephemeral, persistentVolumeClaim, "
    "projected, secret"
)


def found(user: Any) -> Any:
    return [(each.path.removeprefix(f"{ROOT}."), each.message) for each in violations(apart(user), OURS)]


def in_spec(**spec: Any) -> Any:
    return found({"metadata": {}, "spec": spec})


def in_main(**fields: Any) -> Any:
    return in_spec(containers=[{"name": "main", **fields}])


def test_an_ordinary_template_is_let_through() -> None:
    assert (
        found(
            {
                "metadata": {"labels": {"team": "x", "app.kubernetes.io/name": "y"}, "annotations": {"note": "z"}},
                "spec": {
                    "nodeSelector": {"gpu": "h200"},
                    "tolerations": [{"key": "team", "operator": "Exists"}],
                    "hostNetwork": False,
                    "hostPID": None,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 1000,
                        "supplementalGroups": [7],
                        "seccompProfile": {"type": "Localhost", "localhostProfile": "x"},
                        "sysctls": [],
                    },
                    "volumes": [
                        {"name": "a", "emptyDir": {}},
                        {"name": "b", "hostPath": None},
                        {"name": "c", "projected": {"sources": [{"configMap": {"name": "x"}}]}},
                    ],
                    "initContainers": [{"name": "warm", "image": "x", "command": ["a"], "args": ["b"]}],
                    "containers": [
                        {
                            "name": "main",
                            "env": [{"name": "MY_RANK"}, {"name": "SLIPWAY"}, {}],
                            "ports": [{"containerPort": 9000}, {"containerPort": 9001, "hostPort": 0}],
                            "volumeMounts": [
                                {"name": "a", "mountPath": "/slipway/outputs"},
                                {"name": "a", "mountPath": "/data"},
                                {"name": "a", "mountPath": "/slipway/output/../other"},
                                {"name": "a", "mountPath": "/x/slipway/../slipway/output"},
                            ],
                            "securityContext": {
                                "privileged": False,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"], "add": []},
                                "runAsUser": 1000,
                                "runAsNonRoot": True,
                                "seccompProfile": {"type": "RuntimeDefault"},
                            },
                        },
                        {"name": "side", "image": "y", "volumeMounts": [{"mountPath": "/slipway/output"}]},
                    ],
                },
            }
        )
        == []
    )


def value_of(kind: str, field: str) -> Any:
    """A value of the field's type, which core/v1 must have."""
    spelled = types.core()[kind][field]
    plain: Any = {"string": "x", "boolean": False, "int64": 5}
    return [] if spelled.startswith("[") else plain.get(spelled, {})


def test_every_field_of_the_allow_list_is_let_through() -> None:
    fields = policy.SPEC_FIELDS - {"terminationGracePeriodSeconds"}
    assert in_spec(**{name: value_of("PodSpec", name) for name in fields}) == []


def test_every_field_of_a_container_is_let_through() -> None:
    body = {name: value_of("Container", name) for name in containers.FIELDS} | {"name": "side"}
    assert in_spec(containers=[body]) == []


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"metadata": "x", "spec": {}},
        {"spec": {"containers": "x", "volumes": 3, "initContainers": ["x"]}},
        {"spec": {"containers": [{"name": "main", "env": "x", "ports": [1], "volumeMounts": {"a": 1}}]}},
        {"spec": {"securityContext": "x", "volumes": [{"name": "a", "projected": "x"}]}},
        {"spec": {"containers": [{"name": "main", "securityContext": "x", "volumeMounts": [{"mountPath": 3}]}]}},
    ],
)
def test_of_a_shape_that_core_v1_does_not_know_its_type_alone_is_told(user: Any) -> None:
    assert violations(user, OURS) == list(types.mistyped(user.get("spec"), f"{ROOT}.spec"))


def test_metadata_takes_labels_and_annotations_only() -> None:
    expected = [("metadata.name", "only labels and annotations can be added: leave it out")]
    assert found({"metadata": {"name": "x", "labels": {}}}) == expected


@pytest.mark.parametrize(
    "label",
    [
        "app.kubernetes.io/managed-by",
        "app.kubernetes.io/component",
        "slipway.dev/attempt",
        "slipway.dev/any",
        "training.kubeflow.org/job-name",
    ],
)
def test_own_labels(label: Any) -> None:
    expected = [(f"metadata.labels[{label}]", "this label steers others than your pods: leave it out")]
    assert found({"metadata": {"labels": {label: "x", "fine": "y"}}}) == expected


@pytest.mark.parametrize(
    "prefix",
    [
        "slipway.dev/",
        "training.kubeflow.org/",
        "container.apparmor.security.beta.kubernetes.io/",
        "seccomp.security.alpha.kubernetes.io/",
        "container.seccomp.security.alpha.kubernetes.io/",
        *(f"{domain}/" for domain in policy.STEERING),
        *(f"below.{domain}/" for domain in policy.STEERING),
    ],
)
def test_annotations_of_domains_that_steer_others(prefix: Any) -> None:
    expected = [(f"metadata.annotations[{prefix}x]", "this annotation steers others than your pods: leave it out")]
    near = {
        "example.com/x": "y",
        "kubernetes.io.example.com/x": "y",
        "kubectl.kubernetes.io/default-container": "main",
        "fine": "y",
    }
    assert found({"metadata": {"annotations": {f"{prefix}x": "x", **near}}}) == expected


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("hostNetwork", True, f"the host's network {NO_HOST}"),
        ("hostPID", True, "the host's processes are out of bounds: leave it out"),
        ("hostIPC", True, f"the host's memory {NO_HOST}"),
        ("nodeName", "node-1", "it bypasses the scheduler: use nodeSelector or affinity"),
        ("serviceAccountName", "admin", NO_ACCOUNT),
        ("serviceAccount", "admin", NO_ACCOUNT),
        ("automountServiceAccountToken", True, NO_ACCOUNT),
        ("restartPolicy", "Always", "Slipway restarts pods itself: leave it out"),
        ("ephemeralContainers", [{}], "they cannot be part of a template: use kubectl debug"),
        ("activeDeadlineSeconds", 5, UNSUPPORTED),
        ("HostNetwork", True, UNSUPPORTED),
        ("terminationGracePeriodSeconds", 0, "use spec.drainSeconds"),
    ],
)
def test_fields_of_the_pod(field: Any, value: Any, why: Any) -> None:
    assert in_spec(**{field: value}) == [(f"spec.{field}", why)]


@pytest.mark.parametrize(
    ("context", "path", "why"),
    [
        ({"runAsNonRoot": False}, "runAsNonRoot", "pods do not run as root: leave it out"),
        ({"runAsUser": 0}, "runAsUser", "pods do not run as root: name another user"),
        ({"sysctls": [{"name": "x"}]}, "sysctls", WEAKER),
        ({"seLinuxOptions": {"type": "spc_t"}}, "seLinuxOptions", WEAKER),
        ({"windowsOptions": {"hostProcess": True}}, "windowsOptions", WEAKER),
        (
            {"seccompProfile": {"type": "Unconfined"}},
            "seccompProfile.type",
            "Unconfined is refused: use RuntimeDefault",
        ),
        (
            {"appArmorProfile": {"type": "Unconfined"}},
            "appArmorProfile.type",
            "Unconfined is refused: use RuntimeDefault",
        ),
    ],
)
def test_the_pods_security_context(context: Any, path: Any, why: Any) -> None:
    assert in_spec(securityContext=context) == [(f"spec.securityContext.{path}", why)]


@pytest.mark.parametrize(
    ("context", "path", "why"),
    [
        ({"privileged": True}, "privileged", "pods get no privileges: leave it out"),
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation", "pods get no privileges: leave it out"),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, "capabilities.add", "pods get no capabilities: leave it out"),
        ({"runAsNonRoot": False}, "runAsNonRoot", "pods do not run as root: leave it out"),
        ({"runAsUser": 0}, "runAsUser", "pods do not run as root: name another user"),
        ({"procMount": "Unmasked"}, "procMount", WEAKER),
        ({"seLinuxOptions": {"type": "spc_t"}}, "seLinuxOptions", WEAKER),
        ({"windowsOptions": {"hostProcess": True}}, "windowsOptions", WEAKER),
        (
            {"seccompProfile": {"type": "Unconfined"}},
            "seccompProfile.type",
            "Unconfined is refused: use RuntimeDefault",
        ),
        (
            {"appArmorProfile": {"type": "Unconfined"}},
            "appArmorProfile.type",
            "Unconfined is refused: use RuntimeDefault",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_the_security_context_of_any_container(kind: Any, context: Any, path: Any, why: Any) -> None:
    assert in_spec(**{kind: [{"name": "a"}, {"name": "b", "securityContext": context}]}) == [
        (f"spec.{kind}[1].securityContext.{path}", why)
    ]


@pytest.mark.parametrize("kind", ["hostPath", "nfs", "iscsi", "gitRepo", "image"])
def test_kinds_of_volumes(kind: Any) -> None:
    assert in_spec(volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", kind: {}}]) == [
        (f"spec.volumes[1].{kind}", VOLUME)
    ]


def test_own_volumes() -> None:
    assert in_spec(volumes=[{"name": "output", "emptyDir": {}}]) == [
        ("spec.volumes[0].name", "output is Slipway's: choose another name")
    ]


def test_service_account_tokens() -> None:
    sources = [{"configMap": {}}, {"serviceAccountToken": {"audience": "x", "path": "y"}}]
    assert in_spec(volumes=[{"name": "a", "projected": {"sources": sources}}]) == [
        ("spec.volumes[0].projected.sources[1].serviceAccountToken", NO_ACCOUNT)
    ]


@pytest.mark.parametrize("body", [{"image": "x"}, {"name": ""}, {"name": None}])
def test_containers_without_a_name(body: Any) -> None:
    assert in_spec(containers=[body]) == [("spec.containers[0].name", "a container needs a name; the main one is main")]


def test_the_main_container_is_called_main() -> None:
    assert in_spec(containers=[{"name": "pytorch"}]) == [
        ("spec.containers[0].name", "the main container is called main here")
    ]


def test_a_backend_that_calls_it_main_too() -> None:
    ours = Reserved(container="main")
    assert violations({"spec": {"containers": [{"name": "main"}]}}, ours) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [("containers", "slipway-engine"), ("initContainers", "slipway-engine"), ("initContainers", "main")],
)
def test_own_containers(kind: Any, name: Any) -> None:
    assert in_spec(**{kind: [{"name": name}]}) == [
        (f"spec.{kind}[0].name", f"{name} is Slipway's: choose another name")
    ]


def test_fields_of_a_container() -> None:
    assert in_spec(containers=[{"name": "side", "tty": True, "image": "x"}]) == [
        ("spec.containers[0].tty", UNSUPPORTED)
    ]


def test_fields_of_the_main_container() -> None:
    assert in_main(image="x") == [("spec.containers[0].image", "use spec.image")]
    assert in_main(image=None) == []


@pytest.mark.parametrize("kind", ["limits", "requests"])
def test_gpus_of_the_main_container_are_a_field_of_the_spec(kind: Any) -> None:
    refused = [(f"spec.containers[0].resources.{kind}[nvidia.com/gpu]", "use spec.perNode")]
    assert in_main(resources={kind: {"memory": "1Gi", "nvidia.com/gpu": 3}}) == refused
    assert in_main(resources={kind: {"memory": "1Gi", "nvidia.com/gpu": None}}) == []
    assert in_spec(containers=[{"name": "side", "image": "x", "resources": {kind: {"nvidia.com/gpu": 1}}}]) == []


@pytest.mark.parametrize("name", ["RANK", "SLIPWAY_RECIPE", "PET_NNODES"])
@pytest.mark.parametrize("container", ["main", "side"])
def test_own_variables_in_every_container(name: Any, container: Any) -> None:
    assert in_spec(containers=[{"name": container, "env": [{"name": "A"}, {"name": name}]}]) == [
        ("spec.containers[0].env[1].name", f"{name} is Slipway's: choose another name")
    ]


@pytest.mark.parametrize(
    "path", ["/slipway/output", "/slipway/output/", "/slipway", "/", "/slipway/output/x", "/a/../slipway//./output"]
)
def test_own_directories(path: Any) -> None:
    assert in_main(volumeMounts=[{"name": "a", "mountPath": "/fine"}, {"name": "a", "mountPath": path}]) == [
        ("spec.containers[0].volumeMounts[1].mountPath", f"{path} is Slipway's: mount elsewhere")
    ]


def test_what_the_merge_would_lose_is_refused() -> None:
    helper = {"name": "helper", "image": "one", "volumeMounts": [{"name": "v", "mountPath": "/a"}] * 2}
    mends = "make one of both, or choose another"
    assert in_spec(
        volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}, {"name": "v", "emptyDir": {}}],
        containers=[{"name": "main"}, helper, {"name": "helper", "image": "two"}, {"name": "main"}],
    ) == [
        ("spec.containers[2].name", f"helper is {ROOT}.spec.containers[1] already: {mends} name"),
        ("spec.containers[3].name", f"main is {ROOT}.spec.containers[0] already: {mends} name"),
        ("spec.volumes[2].name", f"v is {ROOT}.spec.volumes[0] already: {mends} name"),
        (
            "spec.containers[1].volumeMounts[1].mountPath",
            f"/a is {ROOT}.spec.containers[1].volumeMounts[0] already: {mends} mountPath",
        ),
    ]


def test_what_kubernetes_lets_repeat_may_repeat() -> None:
    """The last variable counts; a port is a number and a protocol, and the number alone of no list at all."""
    ports = [{"containerPort": 5353}, {"containerPort": 5353, "protocol": "UDP"}]
    assert in_main(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], ports=ports) == []
    assert in_spec(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a"]}, {"ip": "10.0.0.1", "hostnames": ["b"]}]) == []
    assert in_main(ports=[*ports, {"containerPort": 5353, "protocol": "TCP"}]) != []


def test_ports() -> None:
    assert in_main(ports=[{"containerPort": 9000, "hostPort": 80}, {"containerPort": 8000}]) == [
        ("spec.containers[0].ports[0].hostPort", "the host's ports are out of bounds: leave it out"),
        ("spec.containers[0].ports[1].containerPort", "8000 is Slipway's: choose another port"),
    ]


def test_all_complaints_are_told_in_the_order_of_the_checks() -> None:
    user = {
        "metadata": {"name": "x"},
        "spec": {
            "containers": [{"name": "main", "image": "x"}],
            "initContainers": [{"name": "i", "tty": True}],
            "hostPID": True,
        },
    }
    assert [violation.path for violation in violations(user, OURS)] == [
        f"{ROOT}.metadata.name",
        f"{ROOT}.spec.hostPID",
        f"{ROOT}.spec.initContainers[0].tty",
        f"{ROOT}.spec.containers[0].image",
    ]
    assert isinstance(violations(user, OURS)[0], Violation)


def test_slipways_own_variables_are_reserved_unless_said_otherwise() -> None:
    user = {"spec": {"containers": [{"name": "main", "env": [{"name": "SLIPWAY_X"}, {"name": "PET_X"}]}]}}
    assert [each.path for each in violations(user, Reserved(container="main"))] == [
        f"{ROOT}.spec.containers[0].env[0].name"
    ]
