"""What a program's containers are told, against the settings that the program has."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args

from deploy.checks.documents import Document, Documents, Fault, Workload
from deploy.checks.references import SECRETS
from pydantic import BaseModel

from annotation_ingest.settings import IngestSettings
from augmenter.settings import AugmenterSettings
from exporter.delivery.app import ApiSettings
from exporter.settings import DeciderSettings
from exporter.work.app import WorkerSettings
from inference.annotating.settings import AnnotateSettings
from inference.settings import InferenceSettings
from labelstream.errors import Misconfigured
from labelstream.service.settings import Environment, ServiceSettings, read_settings
from trainer.settings import TrainerSettings

PREFIX, SECRETS_AT = "LABELSTREAM_", "/run/secrets/"
SETTINGS: Mapping[str, type[ServiceSettings]] = {
    "annotation-ingest": IngestSettings,
    "augmenter": AugmenterSettings,
    "augmenter-work": AugmenterSettings,
    "trainer": TrainerSettings,
    "trainer-work": TrainerSettings,
    "exporter": DeciderSettings,
    "exporter-work": WorkerSettings,
    "exporter-serve": ApiSettings,
    "inference": InferenceSettings,
    "inference-annotate": AnnotateSettings,
}
PROGRAMS = tuple(SETTINGS)
_FIELD = re.compile(r"metadata\.labels\['(.+)'\]")
_REFERENCE = re.compile(r"\$\((\w+)\)")
_SOME_SECRET = "a-secret-of-more-than-sixteen-letters"  # noqa: S105 -- stands for what the file will hold


def environment_faults(documents: Documents) -> Iterator[Fault]:
    """Find programs that are missing, settings that are unknown, missing or wrong, and secrets that no file holds."""
    workloads = {one.name: one for one in documents.workloads}
    for name, kind in SETTINGS.items():
        if name not in workloads:
            yield Fault("program", name, "has no workload")
            continue
        told = told_to(documents, workloads[name])
        yield from _unknown(workloads[name], kind, told)
        yield from _refused(workloads[name], kind, told)
        yield from _not_in_secrets(workloads[name], told)


def told_to(documents: Documents, workload: Workload) -> dict[str, str]:
    """Return the environment of a program's container."""
    container = workload.containers[0]
    told: dict[str, str] = {}
    for source in container.get("envFrom", []):
        told |= documents.data(source["configMapRef"]["name"])
    for variable in container.get("env", []):
        value = variable["value"] if "value" in variable else _chosen(variable["valueFrom"], workload, container)
        told[variable["name"]] = _REFERENCE.sub(lambda found: told.get(found[1], found[0]), value)
    return told


def _chosen(source: Document, workload: Workload, container: Document) -> str:
    if field := source.get("fieldRef"):
        if label := _FIELD.fullmatch(field["fieldPath"]):
            return workload.labels.get(label[1], "")
        return f"{workload.name}-0"
    if asked := source.get("resourceFieldRef"):
        kind, _, what = asked["resource"].partition(".")
        given = str(container["resources"][kind].get(what, "0"))
        return str(math.ceil(int(given[:-1]) / 1000) if given.endswith("m") else math.ceil(float(given)))
    return _SOME_SECRET


def _unknown(workload: Workload, kind: type[Environment], told: Mapping[str, str]) -> Iterator[Fault]:
    known = sorted(settings_of(kind))
    for name in told:
        if name.startswith(PREFIX) and name.removesuffix("_FILE") not in known and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; {close[0]}?" if close else ""
            yield Fault("setting", workload.where, f"{kind.__name__} has no {name}{hint}")


def settings_of(kind: type[BaseModel], prefix: str = PREFIX) -> Iterator[str]:
    """Give the names of all variables that a settings class reads."""
    for name, field in kind.model_fields.items():
        variable = f"{prefix}{(field.alias or name).upper()}"
        yield variable
        for group in _models_in(field.annotation):
            yield from settings_of(group, f"{variable}__")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif type(None) in get_args(annotation):
        for one in get_args(annotation):
            yield from _models_in(one)


def _refused(workload: Workload, kind: type[ServiceSettings], told: Mapping[str, str]) -> Iterator[Fault]:
    plain = {
        name.removesuffix("_FILE"): _SOME_SECRET if name.endswith("_FILE") else value
        for name, value in told.items()
        if name.startswith(PREFIX)
    }
    with _environment(plain):
        try:
            read_settings(kind)
        except Misconfigured as error:
            yield Fault("setting", workload.where, str(error))


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    ours = {name: value for name, value in before.items() if not name.startswith(PREFIX)}
    try:
        os.environ.clear()
        os.environ.update(ours | dict(variables))
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _not_in_secrets(workload: Workload, told: Mapping[str, str]) -> Iterator[Fault]:
    volume = workload.volumes.get("secrets", {})
    sources = [volume, *volume.get("projected", {}).get("sources", [])]
    names = [one["secret"].get("secretName") or one["secret"]["name"] for one in sources if "secret" in one]
    held = frozenset().union(*(SECRETS.get(name, frozenset()) for name in names))
    for name, value in told.items():
        for file in re.findall(rf"{SECRETS_AT}([\w.-]+)", value):
            if file not in held:
                yield Fault(
                    "secret", workload.where, f"{name} names {file}, which is in no Secret of {', '.join(names)}"
                )
