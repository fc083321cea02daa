"""Asking the inference service what is in an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from labelstream.access import KeyToken
from labelstream.client import Client, ClientError, Retries, Wishes
from labelstream.client import Detection as Found
from labelstream_cli.running import CommandFailed

RETRIES = Retries(total_s=10)  # somebody waits


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


def checked(api_key: str | None) -> str | None:
    """Return the API key as it is shown to a service, where there is one. Raises CommandFailed."""
    shown = api_key.strip() if api_key else None
    if shown is not None and KeyToken.read(shown) is None:  # what it is instead is not repeated
        raise CommandFailed("what was given is no API key: one begins lsk_; `labelstream keys add` makes one")
    return shown


def asking(url: str, api_key: str | None = None, ca: Path | None = None) -> Client:
    """Return a client of the service at `url`, which shows the API key and believes the CA, where there is one.

    Raises CommandFailed, and Misconfigured for a CA file that is none.
    """
    try:
        return Client(url, checked(api_key), retries=RETRIES, ca=ca)
    except ValueError as error:
        raise CommandFailed(str(error)) from error


def ask_about(client: Client, path: Path, **wishes: Unpack[Wishes]) -> Answer:
    """Ask about one image. Raises CommandFailed."""
    try:
        said = client.predict(path, **wishes)
    except OSError as error:
        raise CommandFailed(f"{path} can't be read: {error.strerror}") from error
    except ClientError as error:
        raise CommandFailed(f"{path}: {error}") from error
    return Answer(str(path), said.model, said.dataset, tuple(map(_detection, said.detections)), dict(said.raw))


def _detection(found: Found) -> Detection:
    box = found.box
    return Detection(found.class_id, found.name, found.confidence, (box.x1, box.y1, box.x2, box.y2))
