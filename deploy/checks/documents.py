"""What was rendered, and how to find things in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]  # one Kubernetes object, as YAML has it
Labels = Mapping[str, str]


@dataclass(frozen=True, order=True)
class Fault:
    """Something that is wrong: which rule is broken, where, and what was found."""

    rule: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or Job, and the pods that it makes."""

    kind: str
    name: str
    spec: Document

    @property
    def where(self) -> str:
        """How a fault calls it."""
        return f"{self.kind} {self.name}"

    @property
    def labels(self) -> Labels:
        """The labels of its pods."""
        found: Labels = self.spec["template"]["metadata"].get("labels", {})
        return found

    @property
    def pod(self) -> Document:
        """The pods' spec."""
        found: Document = self.spec["template"]["spec"]
        return found

    @property
    def containers(self) -> list[Document]:
        """The containers that run all the time."""
        return list(self.pod.get("containers", []))

    @property
    def all_containers(self) -> list[Document]:
        """Those, and the ones that run before them."""
        return [*self.pod.get("initContainers", []), *self.containers]

    @property
    def ports(self) -> dict[str, int]:
        """The containers' ports by name."""
        return {
            port.get("name", str(port["containerPort"])): port["containerPort"]
            for container in self.containers
            for port in container.get("ports", [])
        }

    @property
    def volumes(self) -> dict[str, Document]:
        """The pods' volumes by name, with those that a StatefulSet claims."""
        claimed = {one["metadata"]["name"]: one for one in self.spec.get("volumeClaimTemplates", [])}
        return {volume["name"]: volume for volume in self.pod.get("volumes", [])} | claimed

    @property
    def annotations(self) -> Labels:
        """The annotations of its pods."""
        found: Labels = self.spec["template"]["metadata"].get("annotations", {})
        return found


@dataclass(frozen=True)
class Documents:
    """All that was rendered."""

    every: list[Document]

    def of(self, kind: str) -> Iterator[Document]:
        """Give the objects of a kind."""
        return (one for one in self.every if one["kind"] == kind)

    def find(self, kind: str, name: str) -> Document | None:
        """Return an object; None when there is none."""
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)

    @property
    def workloads(self) -> list[Workload]:
        """Everything that makes pods."""
        kinds = ("Deployment", "StatefulSet", "Job")
        return [
            Workload(one["kind"], one["metadata"]["name"], one["spec"]) for one in self.every if one["kind"] in kinds
        ]

    def data(self, config_map: str) -> Labels:
        """Return what a ConfigMap holds; its name may have the suffix that kustomize gives it."""
        suffixed = re.compile(rf"{re.escape(config_map)}(-[a-z0-9]{{10}})?")
        found = next((one for one in self.of("ConfigMap") if suffixed.fullmatch(one["metadata"]["name"])), None)
        return {} if found is None else found.get("data", {})


def selects(selector: Document, labels: Labels) -> bool:
    """Say whether a selector (matchLabels; an empty one selects all) takes labels."""
    if unknown := selector.keys() - {"matchLabels"}:
        raise NotImplementedError(f"the checks don't understand {', '.join(unknown)} in a selector")
    wanted: Labels = selector.get("matchLabels", {})
    return all(labels.get(name) == value for name, value in wanted.items())


def where_of(document: Document) -> str:
    """Return how a fault calls an object."""
    return f"{document['kind']} {document['metadata']['name']}"
