"""Who has to speak with whom, and whether the network policies open just that."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from deploy.checks.documents import Document, Documents, Fault, Workload
from deploy.checks.environment import PROGRAMS
from deploy.checks.network import Direction, Way, ways

QUEUES = frozenset(PROGRAMS) - {"annotation-ingest", "inference"}  # who speaks AMQP; those two know streams alone
API = "8080"
BETWEEN_NODES = ("4369", "25672", "6000-6500")
DNS = "namespace kubernetes.io/metadata.name=kube-system, k8s-app=kube-dns"
PROMETHEUS = "namespace kubernetes.io/metadata.name=monitoring, app.kubernetes.io/name=prometheus"
CLIENTS, PRODUCERS, OPERATORS = (
    f"namespace labelstream.io/{who}=true, all pods" for who in ("clients", "producers", "operators")
)


def network_faults(documents: Documents) -> Iterator[Fault]:
    """Find ways that are open and not needed, those that are needed and not open, and a store that is anywhere."""
    for network, _ in _stores(documents):
        if ipaddress.ip_network(network).prefixlen == 0:
            yield Fault("network", "NetworkPolicy store", f"{network} is everywhere: say where the store is")
    if not any(_denies_all(policy["spec"]) for policy in documents.of("NetworkPolicy")):
        yield Fault("network", "namespace", "no policy denies what no other opens, to pods that are to come, too")
    directions: tuple[Direction, ...] = ("ingress", "egress")
    for workload in documents.workloads:
        for direction in directions:
            found = ways(documents, workload, direction)
            if found is None:
                yield Fault("network", workload.where, f"nothing limits its {direction}")
                continue
            wanted = frozenset(needed(documents, workload, direction))
            yield from (
                Fault("network", workload.where, f"{direction} is open and not needed: {way}")
                for way in sorted(found - wanted)
            )
            yield from (
                Fault("network", workload.where, f"{direction} is needed and not open: {way}")
                for way in sorted(wanted - found)
            )


def _denies_all(policy: Document) -> bool:
    opens = policy.get("ingress") or policy.get("egress")
    return policy["podSelector"] == {} and set(policy["policyTypes"]) == {"Ingress", "Egress"} and not opens


def needed(documents: Documents, workload: Workload, direction: Direction) -> Iterator[Way]:
    """Give the ways that a workload needs."""
    inside = _inside(documents)
    if direction == "egress":
        yield from (Way(DNS, "53"), Way(DNS, "53/udp"))
        yield from (Way(peer, port) for who, peer, port in inside if who == workload.name)
        if workload.name in PROGRAMS or workload.name == "store-setup":
            yield from (Way(f"net {network}", port) for network, port in _stores(documents))
    else:
        yield from (Way(who, port) for who, peer, port in inside if peer == workload.name)
        yield from _from_outside(documents, workload)


def _inside(documents: Documents) -> list[tuple[str, str, str]]:
    """Return who asks whom, at which port, of what is there."""
    streams, queues = _broker_ports(documents)
    asks = [("rabbitmq", "rabbitmq", port) for port in BETWEEN_NODES]
    asks += [(program, "rabbitmq", streams) for program in PROGRAMS]
    asks += [(program, "rabbitmq", queues) for program in QUEUES]
    asks += [("inference", "exporter-serve", API), ("inference-annotate", "inference", API)]
    asks += [("trainer", "mlflow", "5000")]
    there = {one.name for one in documents.workloads}
    return [(who, peer, port) for who, peer, port in asks if {who, peer} <= there]


def _from_outside(documents: Documents, workload: Workload) -> Iterator[Way]:
    streams, queues = _broker_ports(documents)
    if workload.name in PROGRAMS:
        yield Way(PROMETHEUS, API)
    if workload.name in ("inference", "exporter-serve"):
        yield from (Way(CLIENTS, API), Way(OPERATORS, API))
    if workload.name == "mlflow":
        yield Way(OPERATORS, "5000")
    if workload.name == "rabbitmq":
        yield from (Way(PROMETHEUS, "15692"), Way(PRODUCERS, streams))
        yield from (Way(OPERATORS, streams), Way(OPERATORS, queues))


def _broker_ports(documents: Documents) -> tuple[str, str]:
    told = documents.data("labelstream")
    return told.get("LABELSTREAM_BROKER__STREAM_PORT", ""), told.get("LABELSTREAM_BROKER__AMQP_PORT", "")


def _stores(documents: Documents) -> list[tuple[str, str]]:
    """Return the networks of the policy `store`, with the port of the endpoint that the programs are told."""
    address = urlsplit(documents.data("labelstream").get("LABELSTREAM_STORE__ENDPOINT_URL", ""))
    port = address.port or (443 if address.scheme == "https" else 80)
    policy = documents.find("NetworkPolicy", "store")
    rules = policy["spec"]["egress"] if policy else []
    return [(peer["ipBlock"]["cidr"], str(port)) for rule in rules for peer in rule["to"] if "ipBlock" in peer]
