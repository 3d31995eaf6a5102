"""What a podTemplate may not say of a container: the restricted Pod Security Standard, and what Slipway reserves."""

from collections.abc import Callable, Iterator

from .policytypes import Container, Reserved, Violation, entries, mapping

GPU = "nvidia.com/gpu"
FIELDS = frozenset(
    {
        "args",
        "command",
        "env",
        "envFrom",
        "image",
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "name",
        "ports",
        "readinessProbe",
        "resizePolicy",
        "resources",
        "restartPolicy",
        "securityContext",
        "startupProbe",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "volumeDevices",
        "volumeMounts",
        "workingDir",
    }
)


def container_violations(container: Container, reserved: Reserved) -> Iterator[Violation]:
    """What Slipway refuses in one container, in the order of `CHECKS`."""
    for check in CHECKS:
        yield from check(container, reserved)


def _unknown_fields(container: Container, _: Reserved) -> Iterator[Violation]:
    for name in container.body:
        if name not in FIELDS:
            yield Violation(f"{container.path}.{name}", "Slipway does not support this field: leave it out")


def _main_fields(container: Container, reserved: Reserved) -> Iterator[Violation]:
    for name, instead in reserved.main_fields:
        if container.main and container.body.get(name) is not None:
            yield Violation(f"{container.path}.{name}", instead)


def _gpus(container: Container, reserved: Reserved) -> Iterator[Violation]:
    """How many GPUs is a field of the spec, from which more follows than the limit: the two must not disagree."""
    resources = mapping(container.body.get("resources"))
    for kind in ("limits", "requests"):
        if container.main and mapping(resources.get(kind)).get(GPU) is not None:
            yield Violation(f"{container.path}.resources.{kind}[{GPU}]", reserved.gpus)


def _privileges(container: Container, _: Reserved) -> Iterator[Violation]:
    context = mapping(container.body.get("securityContext"))
    for name in ("privileged", "allowPrivilegeEscalation"):
        if context.get(name) not in (None, False):
            yield Violation(f"{container.path}.securityContext.{name}", "pods get no privileges: leave it out")


def _capabilities(container: Container, _: Reserved) -> Iterator[Violation]:
    context = mapping(container.body.get("securityContext"))
    if mapping(context.get("capabilities")).get("add"):
        yield Violation(f"{container.path}.securityContext.capabilities.add", "pods get no capabilities: leave it out")


def _runs_as_root(container: Container, _: Reserved) -> Iterator[Violation]:
    context = mapping(container.body.get("securityContext"))
    if context.get("runAsNonRoot") is False:
        yield Violation(f"{container.path}.securityContext.runAsNonRoot", "pods do not run as root: leave it out")
    if context.get("runAsUser") == 0:
        yield Violation(f"{container.path}.securityContext.runAsUser", "pods do not run as root: name another user")


def _kernel(container: Container, _: Reserved) -> Iterator[Violation]:
    context = mapping(container.body.get("securityContext"))
    for name in ("procMount", "seLinuxOptions", "windowsOptions"):
        if context.get(name):
            yield Violation(f"{container.path}.securityContext.{name}", "it weakens the pod's isolation: leave it out")
    for name in ("seccompProfile", "appArmorProfile"):
        if mapping(context.get(name)).get("type") == "Unconfined":
            path = f"{container.path}.securityContext.{name}.type"
            yield Violation(path, "Unconfined is refused: use RuntimeDefault")


def _variables(container: Container, reserved: Reserved) -> Iterator[Violation]:
    for index, variable in entries(container.body.get("env")):
        name = variable.get("name")
        if isinstance(name, str) and (name in reserved.env or name.startswith(reserved.env_prefixes)):
            yield Violation(f"{container.path}.env[{index}].name", f"{name} is Slipway's: choose another name")


def _mounts(container: Container, reserved: Reserved) -> Iterator[Violation]:
    for index, mount in entries(container.body.get("volumeMounts")):
        path = mount.get("mountPath")
        if container.main and isinstance(path, str) and _inside(path, reserved.mount_paths):
            yield Violation(
                f"{container.path}.volumeMounts[{index}].mountPath", f"{path} is Slipway's: mount elsewhere"
            )


def _inside(path: str, reserved: frozenset[str]) -> bool:
    """Whether `path` is one of the reserved directories, in one of them, or above one, which would hide it."""
    ours = _parts(path)
    return any(ours[: len(theirs)] == theirs[: len(ours)] for theirs in map(_parts, reserved))


def _parts(path: str) -> list[str]:
    """The names along a path as the kernel walks it."""
    walked: list[str] = []
    for part in path.split("/"):
        if part == "..":
            walked = walked[:-1]
        elif part not in ("", "."):
            walked.append(part)
    return walked


def _hosts(container: Container, _: Reserved) -> Iterator[Violation]:
    """The kubelet makes these requests, from the node's own network."""
    hooks = mapping(container.body.get("lifecycle"))
    probes = {name: container.body.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")}
    found = {**probes, **{f"lifecycle.{name}": hooks.get(name) for name in ("postStart", "preStop")}}
    for name, probe in found.items():
        for kind in ("httpGet", "tcpSocket"):
            if mapping(mapping(probe).get(kind)).get("host"):
                said = "the kubelet would ask another host from the node's network: leave it out"
                yield Violation(f"{container.path}.{name}.{kind}.host", said)


def _ports(container: Container, reserved: Reserved) -> Iterator[Violation]:
    for index, port in entries(container.body.get("ports")):
        if port.get("hostPort") not in (None, 0):
            yield Violation(
                f"{container.path}.ports[{index}].hostPort", "the host's ports are out of bounds: leave it out"
            )
        number = port.get("containerPort")
        if isinstance(number, int) and number in reserved.ports:
            yield Violation(
                f"{container.path}.ports[{index}].containerPort", f"{number} is Slipway's: choose another port"
            )


CHECKS: tuple[Callable[[Container, Reserved], Iterator[Violation]], ...] = (
    _unknown_fields,
    _main_fields,
    _gpus,
    _privileges,
    _capabilities,
    _runs_as_root,
    _kernel,
    _variables,
    _mounts,
    _ports,
    _hosts,
)
