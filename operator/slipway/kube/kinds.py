"""Every kind that the operator touches: its apiVersion and plural, in one table, so that no write needs discovery.

A kind that is missing here is a mistake in the code, found by the first test that renders it.
"""

from dataclasses import dataclass, field

from ..api.common import API_VERSION
from ..plan.observed import Obj, Ref


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind's address. `plural` is the path segment alone, as in `deployments`. `clustered`: it is in no namespace."""

    api_version: str
    kind: str
    plural: str
    clustered: bool = field(default=False, kw_only=True)

    @property
    def group(self) -> str:
        """The API group, "" for core/v1."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @property
    def full(self) -> str:
        """`plural.group`, or the plural alone for core/v1: as in Ref.plural."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


TRAINING_JOB = Resource(API_VERSION, "TrainingJob", "trainingjobs")
INFERENCE_SERVICE = Resource(API_VERSION, "InferenceService", "inferenceservices")
ACCELERATOR = Resource(API_VERSION, "Accelerator", "accelerators", clustered=True)
POD = Resource("v1", "Pod", "pods")
SERVICE = Resource("v1", "Service", "services")
CLAIM = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DEPLOYMENT = Resource("apps/v1", "Deployment", "deployments")
PYTORCH_JOB = Resource("kubeflow.org/v1", "PyTorchJob", "pytorchjobs")
SCALED_OBJECT = Resource("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
POD_TEMPLATE = Resource("v1", "PodTemplate", "podtemplates")
EVENT = Resource("events.k8s.io/v1", "Event", "events")
LEASE = Resource("coordination.k8s.io/v1", "Lease", "leases")
ENDPOINT_SLICE = Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
TOKEN_REVIEW = Resource("authentication.k8s.io/v1", "TokenReview", "tokenreviews")

OWNERS = (TRAINING_JOB, INFERENCE_SERVICE)
CHILDREN = (POD, PYTORCH_JOB, DEPLOYMENT, SERVICE, CLAIM, SCALED_OBJECT)
WATCHED = (*OWNERS, *CHILDREN, ACCELERATOR)
OPTIONAL = (PYTORCH_JOB, SCALED_OBJECT, ACCELERATOR)  # their CRDs may come later than the operator, or never

TABLE: dict[tuple[str, str], Resource] = {
    (r.api_version, r.kind): r for r in (*WATCHED, POD_TEMPLATE, EVENT, LEASE, ENDPOINT_SLICE, TOKEN_REVIEW)
}


def resource_of(body: Obj) -> Resource:
    """The resource of an object that is to be written. Raises ValueError for a kind that the table lacks."""
    api_version, kind = body.get("apiVersion", ""), body.get("kind", "")
    try:
        return TABLE[api_version, kind]
    except KeyError:
        raise ValueError(
            f"{kind!r} of {api_version!r} is not in kube/kinds.py: add it there, and to the RBAC"
        ) from None


def ref_of(body: Obj) -> Ref:
    """Where an object stands. Raises ValueError for an unknown kind, KeyError without a name."""
    resource, metadata = resource_of(body), body["metadata"]
    return ref(resource, metadata.get("namespace", ""), metadata["name"])


def ref(resource: Resource, namespace: str, name: str) -> Ref:
    return Ref(resource.api_version, resource.kind, resource.full, namespace, name)


def collection_path(api_version: str, plural: str, namespace: str) -> str:
    """URL path of a kind's collection; `plural` with or without its group. Empty namespace: cluster scope."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{plural.partition('.')[0]}"


def object_path(target: Ref) -> str:
    return f"{collection_path(target.api_version, target.plural, target.namespace)}/{target.name}"
