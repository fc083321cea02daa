"""Every pod as the restricted pod security standard wants it, and more: no token, a root that nobody writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.checks.documents import Document, Documents, Fault, Workload
from deploy.checks.environment import PROGRAMS

USERS: Mapping[str, int] = {"rabbitmq": 999}  # all others are 10001
SERVICES = Path(__file__).parents[2] / "services"
OTHER_IMAGES = frozenset({"rabbitmq", "labelstream/mlflow"})


def pod_faults(documents: Documents) -> Iterator[Fault]:
    """Find pods with more than they need, and images that nobody builds."""
    for workload in documents.workloads:
        yield from _pod(workload)
        for container in workload.all_containers:
            yield from (Fault("security", f"{workload.where} {container['name']}", what) for what in _open(container))
            yield from _image(workload, container)
            yield from _resources(workload, container)
    yield from _single(documents)
    yield from _probes(documents)
    for namespace in documents.of("Namespace"):
        if namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield Fault("security", f"Namespace {namespace['metadata']['name']}", "does not enforce restricted pods")


def _pod(workload: Workload) -> Iterator[Fault]:
    pod, context = workload.pod, workload.pod.get("securityContext", {})
    if pod.get("automountServiceAccountToken") is not False:
        yield Fault("token", workload.where, "a service account token is mounted")
    if context.get("runAsNonRoot") is not True:
        yield Fault("security", workload.where, "may run as root")
    wanted = USERS.get(workload.name, 10001)
    if context.get("runAsUser") != wanted:
        yield Fault(
            "security", workload.where, f"runs as {context.get('runAsUser')}, and the image is made for {wanted}"
        )
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield Fault("security", workload.where, "has no seccomp profile")
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield Fault("security", workload.where, f"has {name}")
    if any("hostPath" in volume for volume in pod.get("volumes", [])):
        yield Fault("security", workload.where, "mounts a directory of the node")


def _open(container: Document) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "may write its root file system"
    if context.get("capabilities", {}).get("drop") != ["ALL"] or context.get("capabilities", {}).get("add"):
        yield "keeps capabilities"
    if context.get("privileged"):
        yield "is privileged"
    if {"runAsUser", "runAsNonRoot", "seccompProfile"} & context.keys():
        yield "says for itself who it runs as"


def _image(workload: Workload, container: Document) -> Iterator[Fault]:
    image, _, tag = container["image"].rpartition(":")
    name = "/".join(image.split("/")[-2:])
    built = {f"labelstream/{folder.parent.name}" for folder in SERVICES.glob("*/Dockerfile")}
    if name not in built and image.split("/")[-1] not in OTHER_IMAGES and name not in OTHER_IMAGES:
        yield Fault("image", workload.where, f"nobody builds {container['image']}")
    if not tag or tag == "latest" or not image:
        yield Fault("image", workload.where, f"{container['image']} says no version")
    on_gpu = "nvidia.com/gpu" in container.get("resources", {}).get("limits", {})
    if workload.name in PROGRAMS and tag.endswith("-gpu") != on_gpu:
        yield Fault("image", workload.where, f"{container['image']} {'on' if on_gpu else 'without'} a GPU")
    started = "-".join([name.removeprefix("labelstream/"), *container.get("args", [])])
    if workload.name in PROGRAMS and started != workload.name:
        yield Fault("command", workload.where, f"starts what would be called {started}")


def _resources(workload: Workload, container: Document) -> Iterator[Fault]:
    given = container.get("resources", {})
    missing = [
        f"{kind}.{what}"
        for kind in ("requests", "limits")
        for what in ("cpu", "memory")
        if what not in given.get(kind, {})
    ]
    if missing:
        yield Fault("resources", f"{workload.where} {container['name']}", f"has no {', '.join(missing)}")


def _single(documents: Documents) -> Iterator[Fault]:
    """Deciders and annotation-ingest are one each, also while they are replaced."""
    for workload in documents.workloads:
        if workload.name not in ("annotation-ingest", "augmenter", "trainer", "exporter"):
            continue
        overlaps = workload.kind == "Deployment" and workload.spec.get("strategy", {}).get("type") != "Recreate"
        if workload.spec.get("replicas") != 1 or overlaps:
            yield Fault("single", workload.where, "more than one may run at a time")


def _probes(documents: Documents) -> Iterator[Fault]:
    for workload in documents.workloads:
        if workload.name not in PROGRAMS:
            continue
        for kind, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            if workload.containers[0].get(kind, {}).get("httpGet", {}).get("path") != path:
                yield Fault("probe", workload.where, f"{kind} does not ask {path}")
