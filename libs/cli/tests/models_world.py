"""Models on doubles: two trainings, their bundles, and what their tests found in a few images."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import Artifact, ArtifactFacts, Calibration, Manifest, SealedFile, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.base import MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS
from labelstream.events.model import (
    Agreement,
    AgreementLimits,
    ArtifactRef,
    ModelExported,
    ModelPromoted,
    ModelRefused,
    WorstImage,
)
from labelstream.events.training import ChampionMetrics, DatasetRef, Interval, Metrics, TrainingFinished
from labelstream.values import FileRef, Position
from labelstream_cli.models.book import Books, read_books
from labelstream_cli.models.place import ModelsPlace
from labelstream_cli.models.side import Side, side_of
from labelstream_datasets.description import DatasetDescription, SplitCount

from .jobs_world import FIRST, SECOND, THIRD, World, requested, started

OLD, NEW, LATER = "a1b20000" * 4, "c3d40000" * 4, "c3d5ffff" * 4
HERE = Position(stream=TRAINING_EVENTS, offset=0)
CLASSES = ("car", "truck", "bus")
LIMITS = AgreementLimits(max_box_px=6, max_score=0.15, max_unmatched=0.1, max_map_drop=0.03)
PICTURES = ("1" * 64, "2" * 64, "3" * 64)


def interval(value: float, width: float = 0.04) -> Interval:
    return Interval(low=max(0.0, value - width), high=min(1.0, value + width))


def metrics(map50_95: float, **per_class: float) -> Metrics:
    return Metrics(
        map50=map50_95 + 0.25, map50_95=map50_95, precision=0.81, recall=0.74, images=83, per_class=per_class,
        map50_interval=interval(map50_95 + 0.25), map50_95_interval=interval(map50_95),
    )  # fmt: skip


def agreement(**more: Any) -> Agreement:
    told = {"images": 83, "boxes": 412, "unmatched": 0, "max_box_px": 0.02, "max_score": 0.0013, **more}
    return Agreement(**{"trained_map50_95": 0.55, "map50_95": 0.55, **told})


def exported(model: str, job: str, test: Metrics, **more: Any) -> ModelExported:
    refs = (
        _ref("onnx-fp32", agreement()),
        _ref("openvino-int8", agreement(unmatched=9, max_box_px=3.4, max_score=0.08, map50_95=0.541)),
    )
    files = {"manifest": FileRef.of("m", b"m"), "signature": FileRef.of("s", b"s")}
    told = {"artifacts": refs, "dataset_id": f"dataset of {job}", **files, **more}
    return ModelExported(model=model, input=HERE, job=job, test=test, **told)


def _ref(name: str, found: Agreement | None, unproven: str = "") -> ArtifactRef:
    family, precision = name.split("-")[:2]
    return ArtifactRef(
        name=name, format=family, precision=precision, big_part=FileRef.of(f"{name}.big", b"b" * 10),
        sealed_sha256="0" * 64, agreement=found, unproven=unproven,
    )  # fmt: skip


def unproven(name: str) -> ArtifactRef:
    return _ref(name, None, "no GPU is here")


def promoted(model: str, number: int, **more: Any) -> ModelPromoted:
    file = FileRef.of("m", b"m")
    told = {"reason": "better by far", **more}
    return ModelPromoted(
        model=model, number=number, manifest=file, signature=file, statement="", statement_signature="", **told
    )  # fmt: skip


def refused_format(job: str, name: str) -> ModelRefused:
    worst = WorstImage(image="7" * 64, box_px=9.1, score=0.3, unmatched=4)
    return ModelRefused(
        model="e" * 32, input=HERE, job=job, rule="export.disagrees", reason="60 of 412 boxes have no partner",
        format=name, agreement=agreement(unmatched=60, worst=worst), limits=LIMITS,
    )  # fmt: skip


def no_model(job: str) -> ModelRefused:
    return ModelRefused(
        model="e" * 32, input=HERE, job=job, rule="export.no_format", reason="none of its formats could be published"
    )


def manifest(event: ModelExported, **more: Any) -> Manifest:
    sealed = {"sealed_sha256": "0" * 64, "sealed_bytes": 10_400_000, "small_bytes": 66_000, "plain_sha256": "0" * 64}
    sealed |= {"small_sha256": "0" * 64, "plain_bytes": 10_399_000}
    artifacts = []
    for ref in event.artifacts:
        is_int8 = ref.precision == "int8"
        facts = ArtifactFacts(
            name=ref.name, format=ref.format, precision=ref.precision, input="float32-nchw-rgb-0-1", output="raw-yolo",
            agreement=ref.agreement, limits=LIMITS, unproven=ref.unproven,
            calibration=Calibration(images=64, digest="5" * 64) if is_int8 else None,
        )  # fmt: skip
        size = {"plain_bytes": 2_900_000} if is_int8 else {}
        artifacts.append(Artifact(**facts.model_dump(), **{**sealed, **size}, file=f"{ref.name}.age"))
    return Manifest(
        model=event.model, project="default", job=event.job, dataset_id=event.dataset_id, created_ms=1,
        class_schema=ClassSchema(name="vehicles", classes=more.pop("classes", CLASSES)), image_size=640,
        thresholds=Thresholds(), validation=event.test, test=event.test,
        versions={"ultralytics": "8.4.1", "torch": "2.9.0", **more}, recipient="age1", artifacts=tuple(artifacts),
        golden=SealedFile(file="golden.age", **sealed),
    )  # fmt: skip


def description(dataset: str, images: int, **more: Any) -> DatasetDescription:
    counts = {
        split: SplitCount(media=9, images=n, samples=n * 8, boxes=n * 5)
        for split, n in (("train", images), ("val", 60), ("test", 83))
    }
    return DatasetDescription(
        id=dataset, project="default", cut=Position(stream="annotation-events", offset=images),
        class_schema=ClassSchema(name="vehicles", classes=CLASSES), recipe="0" * 64, salt="s", counts=counts, **more,
    )  # fmt: skip


def scores(confidence: float = 0.31, **per_class: float) -> dict[str, Any]:
    """What an evaluation says of a model."""
    classes = [
        {
            "class_id": CLASSES.index(name), "name": name, "images": 40, "boxes": boxes, "map50": value + 0.2,
            "map50_95": value, "precision": 0.8, "recall": 0.7,
            "map50_95_interval": interval(value, 0.03 if boxes > 50 else 0.12).model_dump(),
        }
        for (name, value), boxes in zip(per_class.items(), (300, 90, 22), strict=False)
    ]  # fmt: skip
    return {"classes": classes, "confidence": confidence}


def seen(picture: str, quality: float, *boxes: tuple[float, float, float, float, bool]) -> dict[str, Any]:
    """What a model finds in an image with two cars."""
    truths = [(0.1, 0.4, 0.45, 0.8), (0.6, 0.35, 0.9, 0.7)]
    return {
        "image": f"{picture[:16]}-{'9' * 8}_0.jpg",
        "quality": quality,
        "truths": [
            {"class_id": n, "corners": box, "hit": any(one[:4] == box for one in boxes)} for n, box in enumerate(truths)
        ],
        "boxes": [
            {"class_id": 0, "corners": one[:4], "confidence": 0.83, "hit": one[4]} for one in boxes
        ],
    }  # fmt: skip


def evaluation(model: dict[str, Any], champion: dict[str, Any] | None, *images: dict[str, Any]) -> bytes:
    other = {"model": OLD, "evaluation": champion} if champion else None
    return json.dumps({"model": model, "champion": other, "images": images}).encode()


def picture(shade: int) -> bytes:
    image = Image.effect_mandelbrot((640, 420), (-2.2, -1.2, 1.0, 1.2), 40).convert("RGB")
    shaded = image.point(lambda value: (value + shade) % 256)
    buffer = io.BytesIO()
    shaded.save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class ModelsWorld(World):
    """The streams, the queue and the two buckets."""

    models: MemoryBlobs = field(default_factory=MemoryBlobs)

    @property
    def here(self) -> ModelsPlace:
        return ModelsPlace(self.place, self.models)

    async def books(self) -> Books:
        for stream in (MODEL_EVENTS, TRAINING_EVENTS, SERVING_EVENTS):
            await self.broker.ensure_stream(stream)
        return await read_books(self.place)

    async def side(self, model: str) -> Side:
        books = await self.books()
        return await side_of(self.here, books, books.models.models[model])

    async def bundle(self, event: ModelExported, **more: Any) -> ModelExported:
        """Store a manifest and a report; return the event that names them."""
        content = manifest(event, **more).model_dump_json(by_alias=True).encode()
        page = b"<html>a report</html>"
        key, report = (keys.model("default", event.model, name) for name in ("manifest.json", "report.html"))
        await self.models.put(key, content)
        await self.models.put(report, page)
        return event.model_copy(update={"manifest": FileRef.of(key, content), "report": FileRef.of(report, page)})

    async def train(
        self,
        job: str,
        dataset: DatasetDescription,
        test: Metrics,
        content: bytes,
        champion: ChampionMetrics | None,
        **recipe: Any,
    ) -> None:
        """Have a training finish."""
        described = dataset.to_json()
        key, where = f"datasets/{dataset.id}.json", f"jobs/{job}/evaluation.json"
        await self.blobs.put(key, described)
        await self.blobs.put(where, content)
        samples = {split: dataset.count(split).samples for split in dataset.counts}
        ref = DatasetRef(
            id=dataset.id, description=FileRef.of(key, described), cut=dataset.cut, samples=samples, test_images=83
        )
        asked = requested(job)
        told = {**asked.recipe, "image_size": 640, "on_the_fly": {"degrees": 0.0}, **recipe}
        await self.say(asked.model_copy(update={"recipe": told, "dataset": ref}), started(job))
        weights = FileRef.of("w", b"w")
        ended = TrainingFinished(
            job=job, attempt=1, dataset=ref, weights=weights, architecture=weights, best_epoch=2, validation=test,
            test=test, evaluation=FileRef.of(where, content), champion=champion, epochs=3,
        )  # fmt: skip
        await self.say(ended)

    async def two_models(self) -> None:
        """A model that serves, and a newer one that its own training measured it against, and that is better."""
        old_scores = scores(car=0.62, truck=0.48, bus=0.4)
        old_test = metrics(0.5, car=0.62, truck=0.48, bus=0.4)
        cars = ((0.1, 0.4, 0.45, 0.8, True), (0.6, 0.35, 0.9, 0.7, True))
        old_seen = [seen(PICTURES[0], 0.42, cars[0]), seen(PICTURES[1], 0.9, *cars), seen(PICTURES[2], 0.88, *cars)]
        await self.train(
            FIRST, description("d" * 64, 900), old_test, evaluation(old_scores, None, *old_seen), None, epochs=40
        )  # fmt: skip
        await self.say(await self.bundle(exported(OLD, FIRST, old_test, dataset_id="d" * 64)), promoted(OLD, 1))

        test = metrics(0.58, car=0.71, truck=0.61, bus=0.31)
        beside = metrics(0.52, car=0.66, truck=0.49, bus=0.42)
        champion = ChampionMetrics(
            model=OLD, test=beside, difference=0.06, difference_interval=Interval(low=0.018, high=0.101)
        )
        false = (0.3, 0.1, 0.5, 0.25, False)
        new_seen = [
            seen(PICTURES[0], 0.95, *cars),
            seen(PICTURES[1], 0.6, cars[1], false),
            seen(PICTURES[2], 0.87, *cars),
        ]
        content = evaluation(
            scores(0.28, car=0.71, truck=0.61, bus=0.31), scores(car=0.66, truck=0.49, bus=0.42), *new_seen
        )
        dataset = description("e" * 64, 1412, ratios={"train": 0.8, "val": 0.1, "test": 0.1})
        await self.train(SECOND, dataset, test, content, champion, epochs=60, on_the_fly={"degrees": 10.0})
        event = exported(NEW, SECOND, test, dataset_id="e" * 64, waiting=("rknn-int8-rk3588",))
        event = event.model_copy(update={"artifacts": (*event.artifacts, unproven("tensorrt-fp16-sm_90"))})
        await self.say(refused_format(SECOND, "onnx-int8"), await self.bundle(event, ultralytics="8.4.9"))
        await self.say(requested(THIRD), no_model(THIRD))
        for number, name in enumerate(PICTURES[:2]):
            await self.blobs.put(keys.image("default", name, "jpg"), picture(70 * number))
