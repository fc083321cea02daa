"""A video sent to a server: the lines that come back, and how they compare with what another finds."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

WITHIN_PX, WITHIN_SCORE = 1.0, 0.01
THRESHOLD = 0.25
PATIENCE_S = 600.0


@dataclass(frozen=True)
class Found:
    """The detections of one frame."""

    classes: npt.NDArray[np.int64]  # (n,)
    scores: npt.NDArray[np.float64]  # (n,)
    boxes: npt.NDArray[np.float64]  # (n, 4) xyxy, pixels

    @classmethod
    def of(cls, rows: Sequence[tuple[float, float, Sequence[float]]]) -> Found:
        """Take class, score and corners of each."""
        classes, scores, boxes = zip(*rows, strict=True) if rows else ((), (), ())
        corners = np.array(boxes, np.float64).reshape(-1, 4)
        return cls(np.array(classes, np.int64), np.array(scores, np.float64), corners)


@dataclass(frozen=True)
class Streamed:
    """What came back of a video."""

    seconds: float
    frames: tuple[int, ...]  # numbers, as they came
    found: tuple[Found, ...]


async def send_video(base_url: str, video: Path, every: int) -> Streamed:
    """Send a video and read every line. Raises ValueError when a line is a problem, or the stream was cut."""
    lines: list[dict[str, Any]] = []
    content = video.read_bytes()  # noqa: ASYNC240  # before the clock starts
    began = time.perf_counter()
    async with (
        httpx.AsyncClient(base_url=base_url, timeout=PATIENCE_S) as client,
        client.stream(
            "POST", "/v1/video", params={"every": every}, content=content, headers={"content-type": "video/mp4"}
        ) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"status {response.status_code}: {(await response.aread()).decode()[:300]}")
        lines = [json.loads(line) async for line in response.aiter_lines() if line]
    seconds = time.perf_counter() - began
    problems = [line for line in lines if "problem" in line]
    if problems or not lines or "summary" not in lines[-1]:
        raise ValueError(f"the video was not answered whole: {problems[:1] or lines[-1:]}")
    return Streamed(seconds, tuple(line["frame"] for line in lines[:-1]), tuple(map(_found, lines[:-1])))


def differences(mine: Found, other: Found) -> list[str]:
    """Say where two answers about one frame differ by more than is allowed.

    A detection without a partner is allowed when its score is as near to the threshold as scores may differ.
    """
    free, said = np.ones(len(other.scores), bool), list[str]()
    for class_id, score, box in zip(mine.classes, mine.scores, mine.boxes, strict=True):
        apart = np.abs(other.boxes - box).max(axis=1, initial=0.0)
        near = np.flatnonzero(free & (other.classes == class_id) & (apart <= WITHIN_PX))
        near = near[np.argsort(np.abs(other.scores[near] - score))]
        if len(near):
            free[near[0]] = False
            if abs(other.scores[near[0]] - score) > WITHIN_SCORE:
                said.append(f"a score of {score:.3f} is {other.scores[near[0]]:.3f} there")
        elif score > THRESHOLD + WITHIN_SCORE:
            said.append(f"a box of class {class_id} with {score:.3f} is missing there")
    extra = other.scores[free & (other.scores > THRESHOLD + WITHIN_SCORE)]
    return [*said, *(f"a box with {score:.3f} is found only there" for score in extra)]


def _found(line: dict[str, Any]) -> Found:
    return Found.of([
        (each["class"], each["confidence"], [each["box"][side] for side in ("x1", "y1", "x2", "y2")])
        for each in line["detections"]
    ])  # fmt: skip
