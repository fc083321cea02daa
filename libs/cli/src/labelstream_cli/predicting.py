"""Asking the inference service what is in an image."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from labelstream.access import KeyToken
from labelstream_cli.running import CommandFailed

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Detection:
    """A thing that was found."""

    class_id: int
    name: str
    confidence: float
    corners: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels


@dataclass(frozen=True)
class Answer:
    """What the service said about one image."""

    image: str
    model: str
    dataset: str
    detections: tuple[Detection, ...]
    raw: dict[str, Any]


def key_header(api_key: str | None) -> dict[str, str]:
    """Return how an API key is shown; nothing where there is none. Raises CommandFailed."""
    if api_key is None:
        return {}
    if KeyToken.read(api_key.strip()) is None:  # what it is instead is not repeated
        raise CommandFailed("what was given is no API key: one begins lsk_; `labelstream keys add` makes one")
    return {"Authorization": f"Bearer {api_key.strip()}"}


def ask_about(client: httpx.Client, path: Path, **wishes: float | str | None) -> Answer:
    """Ask about one image; `wishes` are the query's parameters. Raises CommandFailed."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{path} can't be read: {error.strerror}") from error
    parameters = {name: value for name, value in wishes.items() if value is not None}
    response = _post(client, data, parameters)
    if response.status_code != HTTPStatus.OK:
        raise CommandFailed(f"{path}: {_problem(response)}")
    said = response.json()
    return Answer(str(path), said["model"], said["dataset"], tuple(map(_detection, said["detections"])), said)


def _post(client: httpx.Client, data: bytes, parameters: dict[str, Any]) -> httpx.Response:
    try:
        return client.post(
            "/v1/predict", content=data, params=parameters, headers={"content-type": "application/octet-stream"}
        )
    except httpx.HTTPError as error:
        raise CommandFailed(f"{client.base_url} does not answer: {error or type(error).__name__}") from error


def _problem(response: httpx.Response) -> str:
    try:
        said = response.json()
    except ValueError:
        return f"the service answered {response.status_code}"
    told = [str(said[key]) for key in ("detail", "reason", "hint") if isinstance(said, dict) and said.get(key)]
    return " ".join(told) or f"the service answered {response.status_code}: {said}"


def _detection(said: dict[str, Any]) -> Detection:
    box = said["box"]
    return Detection(said["class"], said["name"], said["confidence"], (box["x1"], box["y1"], box["x2"], box["y2"]))
