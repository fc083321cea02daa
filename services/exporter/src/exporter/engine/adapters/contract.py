"""What every format's adapter does: build a file from trained weights, and run it as its readers would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labelstream.bundle import ArtifactFacts
from labelstream.formats import Family, Format
from labelstream_yolo.architecture import Architecture

MAX_DETECTIONS = 300  # boxes of an image, at most; manifests say the same
RAW = "raw-yolo"  # what ArtifactFacts.output may say
RAW_SPLIT = "raw-yolo-split"
SUPPRESSED = "boxes-score-class"
FLOAT_INPUT = "float32-nchw-rgb-0-1"  # what ArtifactFacts.input may say
BGR_INPUT = "uint8-nhwc-bgr"
RGB_INPUT = "uint8-nhwc-rgb"

Floats = NDArray[np.float32]
Images = Floats | NDArray[np.uint8]


class UnbuildableError(Exception):
    """The format can't be made of these weights by this adapter; says why."""


class CalibrationMissingError(Exception):
    """The format takes its ranges from images, and got none."""


@dataclass(frozen=True)
class BuildOrder:
    """What an adapter makes a file from."""

    model: Any  # the trained network (an ultralytics DetectionModel, eval mode, CPU); copy it before changing it
    architecture: Architecture
    format: Format
    out_dir: Path  # exists; everything that the adapter writes lies here
    calibration: tuple[Path, ...] = ()  # images, as they are stored
    confidence: float = 0.25  # built into graphs that suppress overlaps
    iou: float = 0.45
    rknn_python: Path | None = None

    @property
    def side(self) -> int:
        """The side of the square that images are letterboxed into, in pixels."""
        return self.architecture.image_size

    @property
    def image(self) -> tuple[int, int, int]:
        """The shape of one image as ONNX graphs made for this order take it."""
        return (self.side, self.side, 3) if self.format.u8 else (3, self.side, self.side)

    @property
    def input(self) -> str:
        """What ONNX graphs made for this order take."""
        return BGR_INPUT if self.format.u8 else FLOAT_INPUT


@dataclass(frozen=True)
class Built:
    """A format's file, and what is known of it before it was run."""

    artifact: Path  # one file
    facts: ArtifactFacts  # without agreement
    folder: Path  # what the adapter left beside it, for its own `open`


class Runner(Protocol):
    """A built file, loaded and ready to answer."""

    batch: int | None  # exactly so many images at once; None: any number

    def run(self, images: Images) -> Floats:
        """Answer letterboxed images in the form that the file's ArtifactFacts.input says; `feeding.py` makes it.

        Returns the raw output (b, 4 + classes, n): centre x, y, width, height in pixels of the square, then scores; or,
        where overlaps were suppressed in the graph, (b, max detections, 6): corners, score, class, with rows of score 0
        where there is nothing. Adapters whose file splits its output join it here.
        """

    def close(self) -> None:
        """Give back what the loaded file holds; nothing is asked afterwards."""


class Adapter(Protocol):
    """Makes and runs one family of formats."""

    family: Family

    def build(self, order: BuildOrder) -> Built:
        """Write the format's file into the order's folder.

        Raises UnbuildableError and CalibrationMissingError.
        """

    def open(self, built: Built) -> Runner | str:
        """Load what was built; or say why it can't be run on this machine."""


Adapters = Mapping[Family, Callable[[], Adapter]]
