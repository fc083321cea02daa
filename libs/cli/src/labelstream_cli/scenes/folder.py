"""The scenes as a YOLO folder, with `media.csv` saying which clip each frame came from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import yaml

from labelstream_cli.scenes.clips import SIDE, Drawn, Frame, draw_clip
from labelstream_cli.scenes.silhouettes import CLASSES

SEED = 2026
CLIPS = 150
JPEG_QUALITY = 92


def draw_scenes(
    folder: Path,
    *,
    clips: int = CLIPS,
    seed: int = SEED,
    shuffle_classes: bool = False,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """Draw `clips` clips into an empty folder; return the number of images. `told` hears of each clip.

    The same seed gives the same pictures. `shuffle_classes` deals the class names out anew among all
    boxes: nothing can be learned from such labels, so a training on them must fail.
    """
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    frames = list(_all_frames(seed, clips, told))
    for frame in _shuffled(frames, seed) if shuffle_classes else frames:
        _write(folder, frame)
    names = (f"{_stem(frame)}.jpg,{frame.clip}\n" for frame in frames)
    (folder / "media.csv").write_text("image,medium\n" + "".join(names))
    (folder / "data.yaml").write_text(yaml.safe_dump({"path": ".", "names": dict(enumerate(CLASSES))}, sort_keys=False))
    return len(frames)


def _all_frames(seed: int, clips: int, told: Callable[[int, int], None]) -> Iterator[Frame]:
    for number in range(clips):
        yield from draw_clip(seed, number)
        told(number + 1, clips)


def _shuffled(frames: Iterable[Frame], seed: int) -> Iterator[Frame]:
    frames = list(frames)
    names = [thing.name for frame in frames for thing in frame.things]
    random.Random(seed).shuffle(names)
    dealt = iter(names)
    for frame in frames:
        yield replace(frame, things=tuple(replace(thing, name=next(dealt)) for thing in frame.things))


def _write(folder: Path, frame: Frame) -> None:
    image = folder / "images" / f"{_stem(frame)}.jpg"
    if not cv2.imwrite(str(image), frame.picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
        raise OSError(f"{image} could not be written")
    (folder / "labels" / f"{_stem(frame)}.txt").write_text("".join(map(_line, frame.things)))


def _stem(frame: Frame) -> str:
    return f"{frame.clip}_f{frame.number}"


def _line(thing: Drawn) -> str:
    x, y = (thing.x1 + thing.x2) / 2 / SIDE, (thing.y1 + thing.y2) / 2 / SIDE
    width, height = (thing.x2 - thing.x1) / SIDE, (thing.y2 - thing.y1) / SIDE
    return f"{CLASSES.index(thing.name)} {x:.6f} {y:.6f} {width:.6f} {height:.6f}\n"
