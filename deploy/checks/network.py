"""Which ways the network policies open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from deploy.checks.documents import Document, Documents, Workload, selects

Direction = Literal["ingress", "egress"]
ANYWHERE = "anywhere"


@dataclass(frozen=True, order=True)
class Way:
    """One port that one side may reach, or be reached at: `peer` is a workload's name, or says where outside it is."""

    peer: str
    port: str

    def __str__(self) -> str:
        return f"{self.peer}:{self.port}"


def ways(documents: Documents, workload: Workload, direction: Direction) -> frozenset[Way] | None:
    """Return the ways that the policies open to a workload; None when no policy limits it."""
    policies = [
        policy["spec"]
        for policy in documents.of("NetworkPolicy")
        if direction.capitalize() in policy["spec"]["policyTypes"]
        and selects(policy["spec"].get("podSelector", {}), workload.labels)
    ]
    if not policies:
        return None
    side = "to" if direction == "egress" else "from"
    return frozenset(
        way
        for policy in policies
        for rule in policy.get(direction, [])
        for peer in (rule.get(side) or [{}])
        for way in _opened(documents, peer, rule)
    )


def _opened(documents: Documents, peer: Document, rule: Document) -> Iterator[Way]:
    for name in _named(documents, peer):
        for port in rule.get("ports") or [{"port": "any"}]:
            yield Way(name, _port(port))


def _named(documents: Documents, peer: Document) -> Iterator[str]:
    if not peer:
        yield ANYWHERE
    elif "ipBlock" in peer:
        yield f"net {peer['ipBlock']['cidr']}"
    elif "namespaceSelector" in peer:
        pods = _words(peer["podSelector"]) if "podSelector" in peer else "all pods"
        yield f"namespace {_words(peer['namespaceSelector'])}, {pods}"
    else:
        yield from (one.name for one in documents.workloads if selects(peer["podSelector"], one.labels))


def _words(selector: Document) -> str:
    labels: dict[str, str] = selector.get("matchLabels", {})
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items())) or "all"


def _port(port: dict[str, Any]) -> str:
    number = f"{port['port']}-{port['endPort']}" if "endPort" in port else str(port["port"])
    return f"{number}/udp" if port.get("protocol") == "UDP" else number
