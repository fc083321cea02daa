"""Shows runs and models in an MLflow server."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from labelstream.errors import Rejected, Unavailable
from trainer.mirror.api import MLFLOW, AlreadyThere, Api
from trainer.mirror.changes import CHAMPION, JOB, MODEL, TAG, Gone, Place, Places, RunChange, UsedDataset, VersionChange

# What the server takes at most.
_DIGEST, _PARAM, _TAG = 36, 6000, 8000  # characters
_MOST = {"params": 100, "tags": 100, "metrics": 500}  # in one request
_PLACE = f"{TAG}mirrored."  # and the stream's name
_PROXIED = "mlflow-artifacts"  # the scheme of files that go through the server

Pairs = list[dict[str, Any]]


@dataclass(frozen=True)
class _Run:
    id: str
    files: str  # the address of its folder


@dataclass
class MlflowTracking:
    """One MLflow server, with an experiment and a registered model `labelstream-<project>` each (see Tracking)."""

    api: Api
    _experiments: dict[str, str] = field(default_factory=dict)  # project → id
    _runs: dict[tuple[str, str], _Run] = field(default_factory=dict)  # project, job

    async def places(self, project: str) -> Places:
        """Return how far a project is mirrored; make its experiment when it has none."""
        experiment = await self._experiment(project)
        self._experiments[project] = experiment["experiment_id"]
        self._runs = {known: run for known, run in self._runs.items() if known[0] != project}
        tags = {tag["key"]: tag["value"] for tag in experiment.get("tags", ())}
        return {name.removeprefix(_PLACE): _place(text) for name, text in tags.items() if name.startswith(_PLACE)}

    async def reached(self, project: str, places: Places) -> None:
        """Remember how far a project is mirrored."""
        for stream, place in places.items():
            tag = {"key": _PLACE + stream, "value": f"{place.offset} {place.event}"}
            said = {"experiment_id": self._experiments[project], **tag}
            await self.api.post("experiments/set-experiment-tag", said)

    async def change_run(self, project: str, change: RunChange) -> None:
        """Change the run of a job, but for its files; make it if there is none."""
        run = await self._run(project, change.job, change.time_ms)
        if change.dataset is not None:
            datasets = [_dataset(project, change.dataset)]
            await self.api.post("runs/log-inputs", {"run_id": run.id, "datasets": datasets})
        for batch in _batches(change):
            await self.api.post("runs/log-batch", {"run_id": run.id, **batch})
        if change.status is not None:
            end = {"end_time": change.time_ms} if change.ended else {}
            await self.api.post("runs/update", {"run_id": run.id, "status": change.status, **end})

    async def add_file(self, project: str, job: str, path: str, file: Path) -> None:
        """Put a file beside the run of a job, over an older one of that path."""
        address = urlsplit((await self._run(project, job, None)).files)
        if address.scheme != _PROXIED:
            reason = (
                f"the files of {_name(project)} lie at {address.scheme}:, where only clients with access can put them"
            )
            raise Rejected("mlflow.artifacts", reason, "Start the server with --serve-artifacts, its default.")
        await self.api.put_file(quote(f"{address.path.strip('/')}/{path}"), file)

    async def change_version(self, project: str, change: VersionChange) -> None:
        """Change the version of a model."""
        version = await self._version(project, change)
        named = {"name": _name(project), "version": version}
        for pair in _pairs(change.tags):
            await self.api.post("model-versions/set-tag", {**named, **pair})
        if change.champion:
            await self.api.post("registered-models/alias", {**named, "alias": CHAMPION})

    async def _experiment(self, project: str) -> dict[str, Any]:
        name = _name(project)
        try:
            found = await self.api.get("experiments/get-by-name", experiment_name=name)
        except Gone:
            with suppress(AlreadyThere):  # somebody was faster
                await self.api.post("experiments/create", {"name": name, "tags": _pairs({f"{TAG}project": project})})
            found = await self.api.get("experiments/get-by-name", experiment_name=name)
        experiment: dict[str, Any] = found["experiment"]
        if experiment["lifecycle_stage"] != "active":
            raise Unavailable(MLFLOW, f"the experiment {name} was deleted there: restore it, or delete it for good")
        return experiment

    async def _run(self, project: str, job: str, time_ms: int | None) -> _Run:
        known = self._runs.get((project, job))
        if known is None:
            run = await self._found(project, job) or await self._made(project, job, time_ms)
            known = self._runs[project, job] = _Run(run["run_id"], run["artifact_uri"])
        return known

    async def _found(self, project: str, job: str) -> dict[str, Any] | None:
        asked = {
            "experiment_ids": [self._experiments[project]],
            "filter": f"tags.`{JOB}` = '{job}'",
            "run_view_type": "ACTIVE_ONLY",
            "max_results": 1,
        }
        runs = (await self.api.post("runs/search", asked)).get("runs", ())
        return runs[0]["info"] if runs else None

    async def _made(self, project: str, job: str, time_ms: int | None) -> dict[str, Any]:
        tags = {JOB: job, f"{TAG}project": project, "mlflow.source.name": "labelstream", "mlflow.source.type": "JOB"}
        said = {
            "experiment_id": self._experiments[project],
            "run_name": job[:12],
            "start_time": time_ms,
            "tags": _pairs(tags),
        }
        made: dict[str, Any] = (await self.api.post("runs/create", said))["run"]["info"]
        return made

    async def _version(self, project: str, change: VersionChange) -> str:
        name = _name(project)
        wanted = f"name = '{name}' AND tags.`{MODEL}` = '{change.model}'"
        found = (await self.api.get("model-versions/search", filter=wanted)).get("model_versions", ())
        if found:
            return str(found[0]["version"])
        if change.job is None:
            reason = f"{name} has no version for the model {change.model}"
            raise Rejected("mlflow.version", reason, "Its export was mirrored before; was the version deleted there?")
        with suppress(AlreadyThere):  # with the first model
            await self.api.post("registered-models/create", {"name": name, "tags": _pairs({f"{TAG}project": project})})
        run = await self._run(project, change.job, change.time_ms)
        said = {"name": name, "source": f"{run.files}/model", "run_id": run.id, "tags": _pairs({MODEL: change.model})}
        made = await self.api.post("model-versions/create", said)
        return str(made["model_version"]["version"])


def _name(project: str) -> str:
    return f"labelstream-{project}"


def _place(text: str) -> Place:
    offset, _, event = text.partition(" ")
    return Place(int(offset), event)


def _dataset(project: str, dataset: UsedDataset) -> dict[str, Any]:
    described = {
        "name": _name(project),
        "digest": dataset.id[:_DIGEST],
        "source_type": "labelstream",
        "source": json.dumps({"id": dataset.id, **dataset.source}),
        "profile": json.dumps(dataset.profile),
    }
    return {"dataset": described, "tags": _pairs({"mlflow.data.context": "training"})}


def _batches(change: RunChange) -> Iterator[dict[str, Pairs]]:
    measures = [
        {"key": each.name, "value": _number(each.value), "step": each.step, "timestamp": each.time_ms}
        for each in change.measures
    ]
    kinds = {"params": _pairs(change.params, _PARAM), "tags": _pairs(change.tags), "metrics": measures}
    for kind, pairs in kinds.items():
        for first in range(0, len(pairs), _MOST[kind]):
            yield {kind: pairs[first : first + _MOST[kind]]}


def _number(value: float) -> float | str:
    """Return a number as JSON takes it, which has no words for the ones that are none."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _pairs(values: Mapping[str, str], most: int = _TAG) -> Pairs:
    return [{"key": key, "value": value[:most]} for key, value in values.items()]
