"""training-operator 1.8.1's PyTorchJob controller, as far as pods and conditions go (pkg/controller.v1/common).

- Pods are made one by one, `<job>-<role>-<index>`, while the job has neither Succeeded nor Failed. A pod that is gone,
  for whatever reason, is made again; one that is being deleted still holds its place.
- Succeeded when the master has; Failed as soon as any pod has (restartPolicy is Never).
- After either, cleanPodPolicy Running deletes the pods that are Pending or Running, and nothing is made any more.
- runPolicy.suspend deletes all pods, and the condition Suspended says so.
"""

from typing import ClassVar

from slipway.plan.observed import Obj

from .base import Controller, Key, controlled_by, going, set_condition

JOBS = "pytorchjobs.kubeflow.org"
JOB_NAME = "training.kubeflow.org/job-name"


class TrainingOperator(Controller):
    name: ClassVar[str] = "training-operator"
    watches: ClassVar[tuple[str, ...]] = (JOBS, "pods")

    def concerns(self, resource: str, body: Obj) -> Key | None:
        if resource == JOBS:
            return super().concerns(resource, body)
        job = (body["metadata"].get("labels") or {}).get(JOB_NAME)
        return (JOBS, body["metadata"]["namespace"], job) if job else None

    def look(self, key: Key) -> None:
        job = self.hand.get(*key)
        if job is None or going(job):
            return
        metadata, namespace = job["metadata"], key[1]
        named = self.hand.list("pods", namespace, f"{JOB_NAME}={key[2]}")
        pods = {pod["metadata"]["name"]: pod for pod in named if controlled_by(pod, metadata["uid"])}
        status = job.get("status") or {}
        if _is(status, "Succeeded") or _is(status, "Failed"):
            self._clean(pods, ("Pending", "Running"))
        elif (job["spec"].get("runPolicy") or {}).get("suspend"):
            self._clean(pods, ("Pending", "Running", "Succeeded", "Failed"))
            self._tell(
                job, set_condition(_conditions(status), "Suspended", "True", self.world.now(), reason="Suspended")
            )
        else:
            self._run(job, pods)

    def _run(self, job: Obj, pods: dict[str, Obj]) -> None:
        for role, replica in job["spec"]["pytorchReplicaSpecs"].items():
            for index in range(replica["replicas"]):
                name = f"{job['metadata']['name']}-{role.lower()}-{index}"
                if name not in pods and self.hand.get("pods", job["metadata"]["namespace"], name) is None:
                    self.hand.create(_pod(job, name, role.lower(), index, replica["template"]))
        self._judge(job, list(pods.values()))

    def _judge(self, job: Obj, pods: list[Obj]) -> None:
        status, now = job.get("status") or {}, self.world.now()
        phases = {pod["metadata"]["name"]: _phase(pod) for pod in pods}
        conditions = _conditions(status)
        if not conditions:
            conditions = set_condition(conditions, "Created", "True", now, reason="PyTorchJobCreated")
        if _is(status, "Suspended"):
            conditions = set_condition(conditions, "Suspended", "False", now, reason="Resumed")
        master = phases.get(f"{job['metadata']['name']}-master-0")
        if master == "Running":
            conditions = set_condition(conditions, "Running", "True", now, reason="PyTorchJobRunning")
        if master == "Succeeded":
            conditions = set_condition(conditions, "Succeeded", "True", now, reason="PyTorchJobSucceeded")
        elif "Failed" in phases.values():
            message = f"PyTorchJob {job['metadata']['name']} is failed because 1 replica(s) failed."
            conditions = set_condition(conditions, "Failed", "True", now, reason="PyTorchJobFailed", message=message)
        self._tell(job, conditions, phases)

    def _tell(self, job: Obj, conditions: list[Obj], phases: dict[str, str] | None = None) -> None:
        counts = list((phases or {}).values())
        replicas = {"Master": {name: counts.count(phase) for name, phase in COUNTED.items()}}
        status = {**(job.get("status") or {}), "conditions": conditions, "replicaStatuses": replicas}
        if status != job.get("status"):
            self.hand.replace(JOBS, {**job, "status": status}, "status")

    def _clean(self, pods: dict[str, Obj], phases: tuple[str, ...]) -> None:
        for name, pod in pods.items():
            if _phase(pod) in phases and not going(pod):
                self.hand.delete("pods", pod["metadata"]["namespace"], name)


COUNTED = {"active": "Running", "succeeded": "Succeeded", "failed": "Failed"}


def _conditions(status: Obj) -> list[Obj]:
    return list(status.get("conditions") or [])


def _is(status: Obj, kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in _conditions(status))


def _phase(pod: Obj) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _pod(job: Obj, name: str, role: str, index: int, template: Obj) -> Obj:
    metadata = job["metadata"]
    labels = {
        **((template.get("metadata") or {}).get("labels") or {}),
        JOB_NAME: metadata["name"],
        "training.kubeflow.org/operator-name": "pytorchjob-controller",
        "training.kubeflow.org/replica-type": role,
        "training.kubeflow.org/replica-index": str(index),
    }
    owner = {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    named = {"name": name, "namespace": metadata["namespace"], "labels": labels, "ownerReferences": [owner]}
    spec = {**template["spec"], "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": spec}
