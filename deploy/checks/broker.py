"""Whether the broker's nodes will find each other, and clients the nodes."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.checks.documents import Documents, Fault, Workload

_NODES = "cluster_formation.classic_config.nodes."


def broker_faults(documents: Documents) -> Iterator[Fault]:
    """Find nodes that are not in the list by which they find each other, and ports that nobody listens on."""
    workload = next((one for one in documents.workloads if one.name == "rabbitmq"), None)
    if workload is None:
        yield Fault("broker", "rabbitmq", "has no workload")
        return
    told = _read("\n".join(documents.data("rabbitmq").values()))
    listed = sorted(value for name, value in told.items() if name.startswith(_NODES))
    if listed != sorted(_names(documents, workload)):
        yield Fault("broker", workload.where, f"its nodes are {_names(documents, workload)}, and listed are {listed}")
    for name, port in workload.ports.items():
        listener = {"amqp": "listeners.{}.default", "stream": "stream.listeners.{}.default"}.get(name)
        if listener and str(port) not in {told.get(listener.format(kind)) for kind in ("tcp", "ssl")}:
            yield Fault("port", workload.where, f"nothing listens on {name}, {port}")
    for variable, name in (("STREAM_PORT", "stream"), ("AMQP_PORT", "amqp")):
        asked = documents.data("labelstream").get(f"LABELSTREAM_BROKER__{variable}")
        if asked != str(workload.ports.get(name)):
            yield Fault("port", "ConfigMap labelstream", f"programs ask port {asked} for {name}")


def _names(documents: Documents, workload: Workload) -> list[str]:
    place = next((one["metadata"].get("namespace") for one in documents.every if one["kind"] == "StatefulSet"), "")
    domain = f"{workload.spec['serviceName']}.{place}.svc.cluster.local"
    return [f"rabbit@{workload.name}-{number}.{domain}" for number in range(workload.spec["replicas"])]


def _read(text: str) -> dict[str, str]:
    """Read `name = value` lines."""
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, mark, value in lines if mark}
