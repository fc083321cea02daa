"""Annotated pictures of about 640 × 480 pixels: drawn scenes, or the photographs of a folder with published splits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from labelstream.labels import Box
from labelstream.values import SPLITS, Split
from labelstream_cli.importers import Imported, ImportedFolder, find_splits, read_folder
from labelstream_cli.scenes.clips import SIDE, draw_clip
from labelstream_cli.scenes.silhouettes import CLASSES

LONGEST = 640  # pixels of the longer side
ROWS, COLUMNS = 3, 4  # drawn scenes side by side in a picture
DRAWN: dict[Split, int] = {"train": 160, "val": 12, "test": 40}
SEED = 31
JPEG_BYTES = 22_000  # about what a small photograph has
WINDOW = 320  # pixels; the network learns on cut-outs, in which things are as large as in the whole picture
LEAST_VISIBLE = 0.4  # of a box's area; less of it is not learned


@dataclass(frozen=True)
class Picture:
    """A picture as a file, and the corners of what stands in it."""

    name: str
    split: Split
    encoded: bytes
    boxes: npt.NDArray[np.float64]  # (n, 5) class id, then x1, y1, x2, y2 in pixels

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Decode it: (height, width, 3) BGR."""
        decoded = cv2.imdecode(np.frombuffer(self.encoded, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None, f"{self.name} is no picture"
        return np.asarray(decoded, np.uint8)


@dataclass(frozen=True)
class Pictures:
    """What the network is trained on, calibrated with and asked about."""

    source: str  # for people
    classes: tuple[str, ...]
    each: tuple[Picture, ...]

    def of(self, split: Split) -> list[Picture]:
        """Return the pictures of a split."""
        return [picture for picture in self.each if picture.split == split]


def drawn_pictures() -> Pictures:
    """Draw scenes, twelve to a picture; always the same."""
    frames = (frame for number in itertools.count() for frame in draw_clip(SEED, number))
    made = []
    for split, count in DRAWN.items():
        for number in range(count):
            canvas = np.zeros((ROWS * SIDE, COLUMNS * SIDE, 3), np.uint8)
            rows = []
            for place in range(ROWS * COLUMNS):
                frame, (top, left) = next(frames), np.array(divmod(place, COLUMNS)) * SIDE
                canvas[top : top + SIDE, left : left + SIDE] = frame.picture
                rows += [
                    (CLASSES.index(each.name), each.x1 + left, each.y1 + top, each.x2 + left, each.y2 + top)
                    for each in frame.things
                ]
            boxes = np.array(rows, np.float64).reshape(-1, 5)
            made.append(Picture(f"{split}-{number:03}", split, _of_usual_size(canvas), boxes))
    return Pictures("drawn scenes", tuple(CLASSES), tuple(made))


def photographs(folder: Path) -> Pictures:
    """Read a folder in any form that `labelstream push` takes. Raises SystemExit without published splits."""
    imported = read_folder(folder, find_splits(folder))
    missing = [split for split in SPLITS if all(one.split != split for one in imported)]
    if missing:
        raise SystemExit(f"no image of {folder} is in the split {missing[0]}: put lists in {folder / 'splits'}")
    made = tuple(_photograph(one, imported) for one in imported if one.split is not None)
    return Pictures(f"the photographs of {folder.name}", imported.classes, made)


def write_windows(pictures: Pictures, folder: Path) -> Path:
    """Write what the trainer reads: the two opposite corners of every picture."""
    for split in SPLITS:
        for kind in ("images", "labels"):
            (folder / split / kind).mkdir(parents=True)
        for picture in pictures.of(split):
            for number, (pixels, boxes) in enumerate(_windows(picture)):
                name = f"{picture.name}-{number}"
                cv2.imwrite(str(folder / split / "images" / f"{name}.png"), pixels)
                height, width = pixels.shape[:2]
                lines = (_label(row, width, height) for row in boxes)
                (folder / split / "labels" / f"{name}.txt").write_text("".join(lines))
    (folder / "data.yaml").write_text(yaml.safe_dump({"names": list(pictures.classes)}))
    return folder


def write_whole(pictures: Sequence[Picture], folder: Path) -> list[tuple[Path, tuple[Box, ...]]]:
    """Write pictures as they are; return each file with its boxes."""
    folder.mkdir(parents=True)
    written = []
    for picture in pictures:
        path = folder / f"{picture.name}.jpg"
        path.write_bytes(picture.encoded)
        height, width = picture.pixels().shape[:2]
        sides = np.array([width, height, width, height])
        corners = np.clip(picture.boxes[:, 1:] / sides, 0, 1)
        boxes = (
            Box.from_corners(int(c), *map(float, row)) for c, row in zip(picture.boxes[:, 0], corners, strict=True)
        )
        written.append((path, tuple(boxes)))
    return written


def _of_usual_size(canvas: npt.NDArray[np.uint8]) -> bytes:
    """Encode at the quality that comes nearest to the usual size."""
    tries = [cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, each])[1].tobytes() for each in range(20, 96, 5)]
    return min(tries, key=lambda encoded: abs(len(encoded) - JPEG_BYTES))


def _photograph(one: Imported, folder: ImportedFolder) -> Picture:
    encoded = one.image_path.read_bytes()
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise SystemExit(f"{one.image_path} can't be decoded")
    scale = min(1.0, LONGEST / max(pixels.shape[:2]))
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        encoded = cv2.imencode(".jpg", pixels)[1].tobytes()
    height, width = pixels.shape[:2]
    rows = [
        (folder.classes.index(box.name), (box.x - box.w / 2) * width, (box.y - box.h / 2) * height,
         (box.x + box.w / 2) * width, (box.y + box.h / 2) * height)
        for box in one.boxes
    ]  # fmt: skip
    assert one.split is not None
    return Picture(one.name.replace("/", "_"), one.split, encoded, np.array(rows, np.float64).reshape(-1, 5))


def _windows(picture: Picture) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]]:
    pixels = picture.pixels()
    height, width = pixels.shape[:2]
    for left, top in ((0, 0), (max(0, width - WINDOW), max(0, height - WINDOW))):
        cut = pixels[top : top + WINDOW, left : left + WINDOW]
        moved = picture.boxes - np.array([0, left, top, left, top])
        seen = moved.copy()
        seen[:, 1::2] = np.clip(moved[:, 1::2], 0, cut.shape[1])
        seen[:, 2::2] = np.clip(moved[:, 2::2], 0, cut.shape[0])
        yield cut, seen[_areas(seen) >= LEAST_VISIBLE * np.maximum(_areas(moved), 1)]


def _areas(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    areas: npt.NDArray[np.float64] = (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 4] - boxes[:, 2])
    return areas


def _label(row: npt.NDArray[np.float64], width: int, height: int) -> str:
    class_id, x1, y1, x2, y2 = row
    centre = f"{(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f}"
    return f"{int(class_id)} {centre} {(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}\n"
