"""One trained YOLO11n at 640 px, exported and proved by the exporter's engine, as a directory that a device pulls.

Trained once on small cut-outs, in which things are as large as in the whole pictures; the network is
convolutional and is exported for 640. Kept under `.labelstream/bench`, by what it was made from.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import exporter.engine
from benchmarks.serving.bare import Detector
from benchmarks.serving.bundling import write_pulled
from benchmarks.serving.pictures import (
    WINDOW,
    Picture,
    Pictures,
    drawn_pictures,
    photographs,
    write_whole,
    write_windows,
)
from exporter.engine.contract import ExportResult, ExportSpec, ProofImage
from exporter.engine.process import run_export
from exporter.exporting.limits import disagreement, limits_of
from labelstream import bundle
from labelstream.formats import Format
from labelstream.labels import Box
from labelstream.values import digest_of, sha256_file
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.offline import versions
from trainer.engine.contract import Progress, Recovery, TrainingResult, TrainingSpec
from trainer.engine.process import Hear, run_training
from trainer.recipe import TrainingRecipe

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".labelstream" / "bench"
SIDE = 640
FLOAT = "onnx-fp32"  # what every contestant can run
FORMATS = (FLOAT, "onnx-fp32-u8", "openvino-fp32-u8", "openvino-bf16-u8", "openvino-int8-u8")
RECIPE = TrainingRecipe(
    architecture="yolo11n", image_size=WINDOW, epochs=7, batch=4, lr0=0.002, threads=2, cache_images=True
)
CERTAIN = 0.5  # a score; other precisions find it as well
MOST_PROOFS, CALIBRATING = 40, 100  # images
LIBRARIES = ("onnx", "onnxslim", "onnxruntime", "openvino", "torch", "ultralytics")
TRAINED = "trained.json"
_BOXES = "boxes.json"


@dataclass(frozen=True)
class Prepared:
    """What the contestants serve, and what they are asked about."""

    folder: Path  # of what was exported
    source: str  # of the pictures, for people
    images: tuple[Path, ...]  # JPEG
    formats: tuple[str, ...]  # proved
    unproven: dict[str, str]  # formats that are not in the bundle, and why

    @property
    def graph(self) -> Path:
        """The float artifact that every contestant can run."""
        return self.artifact(FLOAT)

    @property
    def pulled(self) -> Path:
        """What `python -m inference --bundle` takes."""
        return self.folder / "pulled"

    @property
    def identity(self) -> Path:
        """The private key of the device that pulled it."""
        return self.folder / "device.age-identity"

    @property
    def trusted_key(self) -> Path:
        """The public half of the signing key."""
        return self.folder / "signer.pub"

    def artifact(self, name: str) -> Path:
        """Return the plain file of a format."""
        return _result(self.folder / name).artifact


async def trained_model() -> Prepared:
    """Train, export and prove, or take what an earlier run left."""
    data = os.environ.get("DATA")
    folder = KEPT / f"yolo11n-{_training_key(data)}"
    pictures = await asyncio.to_thread(_pictures, data, folder)
    if not (folder / TRAINED).exists():
        _told(f"training a YOLO11n on {pictures.source}; this takes minutes, once")
        await _train(pictures, folder)
    exports = folder / f"exports-{_export_key()}"
    for name in FORMATS:
        if not (exports / name / "result.json").exists():
            _told(f"exporting {name} and proving it")
            await _export(name, folder, exports / name)
    results = {name: _result(exports / name) for name in FORMATS}
    refused = {name: reason for name, result in results.items() if (reason := _refused(name, result))}
    proved = [result for name, result in results.items() if name not in refused]
    shown = exports / "shown"
    if not shown.exists():
        await asyncio.to_thread(_show, folder / "test", shown, results[FLOAT].artifact)
    images = tuple(sorted(shown.glob("*.jpg")))  # a few files
    prepared = Prepared(exports, pictures.source, images, tuple(result.facts.name for result in proved), refused)
    if not prepared.pulled.exists():
        scores = TrainingResult.model_validate_json((folder / TRAINED).read_bytes())
        both = (scores.validation, scores.test)
        await asyncio.to_thread(write_pulled, exports, proved, pictures.classes, both)
    return prepared


def _training_key(data: str | None) -> str:
    """Name the weights by what they are made from: pictures, recipe, libraries."""
    given = str(Path(data).resolve()) if data else None
    return digest_of([given, RECIPE.digest, sha256_file(Path(__file__).with_name("pictures.py"))])[:12]


def _export_key() -> str:
    """Name the bundle by what it is made with: our code and libraries."""
    code = [Path(__file__).with_name("bundling.py"), Path(bundle.__file__)]
    code += Path(exporter.engine.__file__).parent.rglob("*.py")
    return digest_of([FORMATS, sorted(sha256_file(path) for path in code), versions(*LIBRARIES)])[:12]


def _pictures(data: str | None, folder: Path) -> Pictures:
    """Return the pictures; write those that are shown whole, once."""
    pictures = photographs(Path(data)) if data else drawn_pictures()
    if not (folder / "test").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_whole(pictures.of("train")[:CALIBRATING], folder / "calibration")
        written = write_whole(_with_things(pictures.of("test")), folder / "test")
        boxes = {path.name: [box.model_dump(mode="json") for box in boxes] for path, boxes in written}
        (folder / "test" / _BOXES).write_text(json.dumps(boxes))
    return pictures


def _show(test: Path, shown: Path, graph: Path) -> None:
    """Copy the test pictures in which something is found for certain: an answer without a box is a wrong one."""
    detector = Detector.of_graph(graph)
    coming = shown.with_name("shown-coming")
    shutil.rmtree(coming, ignore_errors=True)
    coming.mkdir()
    for path in sorted(test.glob("*.jpg")):
        if any(each["confidence"] >= CERTAIN for each in detector.detect(path.read_bytes())):
            shutil.copyfile(path, coming / path.name)
    if not any(coming.iterdir()):
        raise SystemExit(f"the trained network finds nothing for certain in {test}: it learned too little")
    coming.rename(shown)


def _with_things(pictures: Sequence[Picture]) -> list[Picture]:
    return [picture for picture in pictures if len(picture.boxes)]


async def _train(pictures: Pictures, folder: Path) -> None:
    shutil.rmtree(folder / "windows", ignore_errors=True)
    data = await asyncio.to_thread(write_windows, pictures, folder / "windows")
    spec = TrainingSpec(data=data, recipe=RECIPE, out_dir=folder / "training", device="cpu")

    async def told(epoch: Progress) -> None:
        _told(f"epoch {epoch.epoch} of {epoch.epochs}: validation mAP50 {epoch.map50:.2f}, {epoch.seconds:.0f} s")

    async def recovered(recovery: Recovery) -> None:
        _told(f"the training recovered: {recovery.rule}: {recovery.reason}")

    result = await run_training(spec, Hear(told, recovered), asyncio.Event())
    _told(f"test mAP50 {result.test.map50:.2f}")
    architecture = read_architecture(result.architecture).model_copy(update={"image_size": SIDE})
    (folder / "architecture.json").write_text(architecture.model_dump_json())
    (folder / TRAINED).write_text(result.model_dump_json())
    shutil.rmtree(folder / "windows")


async def _export(name: str, folder: Path, out: Path) -> None:
    boxes = json.loads((folder / "test" / _BOXES).read_bytes())
    images = sorted((folder / "test").glob("*.jpg"))[:MOST_PROOFS]
    spec = ExportSpec(
        format=name,
        weights=TrainingResult.model_validate_json((folder / TRAINED).read_bytes()).weights,
        architecture=folder / "architecture.json",
        images=tuple(
            ProofImage(path=path, boxes=tuple(Box.model_validate(each) for each in boxes[path.name])) for path in images
        ),
        calibration=tuple(sorted((folder / "calibration").glob("*.jpg"))),
        golden=3,
        out_dir=out,
    )
    shutil.rmtree(out.parent / "pulled", ignore_errors=True)
    await run_export(spec)


def _result(folder: Path) -> ExportResult:
    return ExportResult.model_validate_json((folder / "result.json").read_bytes())


def _refused(name: str, result: ExportResult) -> str | None:
    """Say why a format is not served: it was not run here, or it disagrees with the trained weights."""
    agreement = result.facts.agreement
    if agreement is None:
        return result.facts.unproven
    return disagreement(agreement, limits_of(Format.parse(name), {}))


def _told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _main() -> None:
    prepared = await trained_model()
    print(json.dumps({"folder": str(prepared.folder), "formats": prepared.formats, "unproven": prepared.unproven}))


if __name__ == "__main__":
    asyncio.run(_main())
