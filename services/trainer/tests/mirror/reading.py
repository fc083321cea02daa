"""Reads back what an MLflow server shows of a project, by its own API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx

from labelstream.values import sha256_hex
from trainer.mirror.changes import JOB, MODEL, Measure, Place, UsedDataset
from trainer.mirror.memory import Shown, ShownRun, ShownVersion

OURS = ("labelstream.", "mlflow.note")
MADE = ("labelstream.job", "labelstream.project")  # with which a run is made


def shown(url: str, login: tuple[str, str], project: str) -> Shown:
    """Return all that the server shows of a project, as the double would hold it."""
    with httpx.Client(base_url=f"{url}/api/2.0/mlflow", auth=login, timeout=30) as client:
        name = f"labelstream-{project}"
        experiment = _ask(client, "experiments/get-by-name", experiment_name=name)["experiment"]
        tags = _pairs(experiment["tags"])
        asked = {"experiment_ids": [experiment["experiment_id"]], "max_results": 1000}
        runs = client.post("runs/search", json=asked).raise_for_status().json().get("runs", [])
        jobs = {run["info"]["run_id"]: _pairs(run["data"]["tags"])[JOB] for run in runs}
        assert len(set(jobs.values())) == len(runs), "a job has two runs"
        versions = _ask(client, "model-versions/search", filter=f"name = '{name}'").get("model_versions", [])
        return Shown(
            runs={jobs[run["info"]["run_id"]]: _run(client, run) for run in runs},
            versions=[_version(each, jobs) for each in sorted(versions, key=lambda each: int(each["version"]))],
            champion=_champion(client, name) if versions else None,
            places={
                key.removeprefix("labelstream.mirrored."): Place(int(value.split(" ")[0]), value.partition(" ")[2])
                for key, value in tags.items()
                if key.startswith("labelstream.mirrored.")
            },
        )


def readable(shown: Shown) -> object:
    """Return what is shown so that it can be compared: one NaN is not another."""
    runs = {job: replace(run, measures=set()) for job, run in shown.runs.items()}
    points = {job: sorted(map(repr, run.measures)) for job, run in shown.runs.items()}
    return replace(shown, runs=runs), points


def _run(client: httpx.Client, run: dict[str, Any]) -> ShownRun:
    info, data = run["info"], run["data"]
    inputs = run.get("inputs", {}).get("dataset_inputs", [])
    assert len(inputs) <= 1
    return ShownRun(
        started_ms=int(info["start_time"]),
        status=info["status"],
        ended_ms=int(info["end_time"]) if info.get("end_time") else None,
        params=_pairs(data.get("params", [])),
        tags={k: v for k, v in _pairs(data["tags"]).items() if k.startswith(OURS) and k not in MADE},
        measures={point for metric in data.get("metrics", []) for point in _history(client, info["run_id"], metric)},
        dataset=_dataset(inputs[0]["dataset"]) if inputs else None,
        files=_files(client, info["run_id"], info["artifact_uri"].partition(":/")[2]),
    )


def _history(client: httpx.Client, run_id: str, metric: dict[str, Any]) -> list[Measure]:
    found = _ask(client, "metrics/get-history", run_id=run_id, metric_key=metric["key"])["metrics"]
    measures = [Measure(m["key"], float(m["value"]), int(m.get("step", 0)), int(m["timestamp"])) for m in found]
    assert len(set(measures)) == len(measures), f"{metric['key']} was logged twice"
    return measures


def _dataset(dataset: dict[str, Any]) -> UsedDataset:
    source = json.loads(dataset["source"])
    assert source["id"].startswith(dataset["digest"])
    return UsedDataset(source.pop("id"), source, json.loads(dataset["profile"]))


def _files(client: httpx.Client, run_id: str, root: str, folder: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for file in _ask(client, "artifacts/list", run_id=run_id, path=folder).get("files", []):
        if file.get("is_dir"):
            found |= _files(client, run_id, root, file["path"])
        else:
            url = client.base_url.copy_with(
                path=f"/api/2.0/mlflow-artifacts/artifacts/{root.strip('/')}/{file['path']}"
            )
            found[file["path"]] = sha256_hex(client.get(url).raise_for_status().content)
    return found


def _version(version: dict[str, Any], jobs: dict[str, str]) -> ShownVersion:
    tags = _pairs(version.get("tags", []))
    return ShownVersion(tags.pop(MODEL), jobs[version["run_id"]], tags)


def _champion(client: httpx.Client, name: str) -> int | None:
    aliases = _ask(client, "registered-models/get", name=name)["registered_model"].get("aliases", [])
    return next((int(each["version"]) for each in aliases if each["alias"] == "champion"), None)


def _ask(client: httpx.Client, what: str, /, **asked: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(what, params=asked).raise_for_status().json()
    return answer


def _pairs(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in pairs}
