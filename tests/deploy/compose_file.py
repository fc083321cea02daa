"""docker-compose.yml as Docker would take it: variables with their defaults, and what a service is told."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from annotation_ingest.settings import IngestSettings
from augmenter.settings import AugmenterSettings
from exporter.delivery.app import ApiSettings
from exporter.settings import DeciderSettings
from exporter.work.app import WorkerSettings
from inference.annotating.settings import AnnotateSettings
from inference.settings import InferenceSettings
from labelstream.service.settings import ServiceSettings
from trainer.settings import TrainerSettings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
DEMO = ROOT / "deploy" / "compose" / "demo.yml"
SECRETS = "/run/secrets/"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")

# What each program of the file reads.
SETTINGS: dict[str, type[ServiceSettings]] = {
    "annotation-ingest": IngestSettings,
    "augmenter": AugmenterSettings,
    "augmenter-work": AugmenterSettings,
    "trainer": TrainerSettings,
    "trainer-work": TrainerSettings,
    "exporter": DeciderSettings,
    "exporter-work": WorkerSettings,
    "exporter-work-gpu": WorkerSettings,
    "exporter-serve": ApiSettings,
    "inference": InferenceSettings,
    "inference-gpu": InferenceSettings,
    "inference-annotate": AnnotateSettings,
}
PRINCIPALS = {"exporter-work-gpu": "exporter-work", "inference-gpu": "inference"}  # as whom a program logs in


def settled(text: str, told: dict[str, str] | None = None) -> str:
    """Return a text with its variables in place: what is told, else the default. Raises LookupError."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if told and name in told:
            return told[name]
        if kind == "?":
            raise LookupError(f"{name}: {rest}")
        return rest or ""

    return _VARIABLE.sub(value, text)


@cache
def compose(path: Path = FILE) -> dict[str, Any]:
    """Return the file with the defaults of its variables; nobody changes it."""
    read: dict[str, Any] = yaml.safe_load(settled(path.read_text(), {"LABELSTREAM_SECRETS": "./deploy/secrets"}))
    return read


def services() -> dict[str, dict[str, Any]]:
    """Return the services."""
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def mounted(service: dict[str, Any]) -> dict[str, str]:
    """Return the secrets of a service: name → where it finds each."""
    listed = service.get("secrets", [])
    return {
        (one if isinstance(one, str) else one["source"]): (f"{SECRETS}{one}" if isinstance(one, str) else one["target"])
        for one in listed
    }


def ports(service: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Return what a service publishes: address, port outside, port inside."""
    found = []
    for one in service.get("ports", []):
        address, outside, inside = one.rsplit(":", 2)
        found.append((address, int(outside), int(inside)))
    return found


def environment(name: str, demo: bool = False) -> dict[str, str]:
    """Return what a service is told, as text."""
    told = dict(services()[name].get("environment", {}))
    if demo:
        told |= compose(DEMO)["services"].get(name, {}).get("environment", {})
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}
