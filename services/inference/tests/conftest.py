"""A small world: a store, a broker and an exporter's API in memory, and detectors of coloured cells."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inference.access.opening import access_of
from inference.access.polling import ExporterKeys
from inference.app import Replica, put_together
from inference.serving.adapters.grants import ExporterApi
from inference.settings import InferenceGroup, InferenceSettings
from labelstream import keys
from labelstream.access import KeyFacts, KeyList
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import ArtifactFacts, GoldenImage, GoldenSet, ManifestFacts, Reference, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.base import MODEL_EVENTS, SERVING_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ModelPromoted
from labelstream.events.training import Metrics
from labelstream.labels import Box
from labelstream.protection.bundling import PlainArtifact, WrittenBundle, sealed_files, write_bundle
from labelstream.protection.grants import grant_content, make_grant
from labelstream.protection.promotions import PromotionStatement, promote
from labelstream.protection.sealing import new_identity
from labelstream.protection.signing_keys import new_signing_key
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, sha256_hex

SIDE, CELL = 64, 8
RED, BLUE = (0, 0, 255), (255, 0, 0)  # BGR
TOKEN = "the device's token"


def cell_detector(gain: float = 1.0) -> bytes:
    """A graph that finds red cells (class 0) and blue cells (class 1); `gain` scales its scores."""
    per_side = SIDE // CELL
    centres = (np.arange(per_side, dtype=np.float32) + 0.5) * CELL
    y, x = np.meshgrid(centres, centres, indexing="ij")
    size = np.full_like(x, CELL)
    boxes = np.stack([x, y, size, size]).reshape(1, 4, -1).astype(np.float32)
    # Red less the mean of the others, and blue likewise: grey scores 0.
    mix = gain * np.array([[1, -0.5, -0.5], [-0.5, -0.5, 1]], np.float32).reshape(2, 3, 1, 1)
    padding = np.random.default_rng(1).random(30_000, np.float32)  # makes the file longer than its small part
    graph = helper.make_graph(
        [
            helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
            helper.make_node("Conv", ["cells", "mix"], ["mixed"]),
            helper.make_node("Reshape", ["mixed", "shape"], ["scores"]),
            helper.make_node("ReduceMin", ["padding"], ["least"], keepdims=0),
            helper.make_node("Mul", ["least", "zero"], ["nothing"]),
            helper.make_node("Add", ["scores", "nothing"], ["plain_scores"]),
            helper.make_node("Concat", ["boxes", "plain_scores"], ["output0"], axis=1),
        ],
        "cells",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, per_side**2])],
        [
            numpy_helper.from_array(mix, "mix"),
            numpy_helper.from_array(boxes, "boxes"),
            numpy_helper.from_array(padding, "padding"),
            numpy_helper.from_array(np.float32(0), "zero"),
            numpy_helper.from_array(np.array([1, 2, per_side**2], np.int64), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def picture(*cells: tuple[int, int, tuple[int, int, int]], extension: str = ".png") -> bytes:
    """An encoded picture of the network's size with coloured cells at (row, column)."""
    image = np.full((SIDE, SIDE, 3), 114, np.uint8)
    for row, column, colour in cells:
        image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = colour
    return cv2.imencode(extension, image)[1].tobytes()


def cell_box(row: int, column: int, class_id: int, confidence: float) -> Box:
    """The box of a cell."""
    cells = SIDE / CELL
    side = 1 / cells
    corner = (column * side, row * side)
    box = Box.from_corners(class_id, *corner, corner[0] + side, corner[1] + side)
    return box.model_copy(update={"confidence": confidence})


def golden_set(gain: float = 1.0) -> GoldenSet:
    """Two pictures, and what a detector of this gain finds in them."""
    boxes = (cell_box(2, 3, 0, gain), cell_box(5, 6, 1, gain))
    both = GoldenImage(image=picture((2, 3, RED), (5, 6, BLUE)), boxes=boxes)
    none = GoldenImage(image=picture(), boxes=())
    return GoldenSet(images=(both, none), max_box_px=0.5, max_score=0.005)


@dataclass
class SigningKey:
    """A signing key's files."""

    private: Path
    public: Path


@dataclass
class GrantDesk:
    """The double of the exporter's grant API."""

    grants: dict[tuple[str, str], bytes] = field(default_factory=dict)
    status: int = 200
    asked: int = 0
    api_keys: list[KeyFacts] = field(default_factory=list)
    polls: list[str | None] = field(default_factory=list)  # the tag of each
    polled: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> Starlette:
        """The double as an application."""

        async def grant(request: Request) -> Response:
            self.asked += 1
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return Response(status_code=401)
            content = self.grants.get((request.path_params["project"], request.path_params["model"]))
            if self.status != 200 or content is None:
                return Response(status_code=self.status if self.status != 200 else 404)
            return Response(content, media_type="application/octet-stream")

        async def api_keys(request: Request) -> Response:
            self.polls.append(request.headers.get("if-none-match"))
            self.polled.set()
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return Response(status_code=401)
            if self.status != 200:
                return Response(status_code=self.status)
            body = KeyList(keys=tuple(self.api_keys)).model_dump_json().encode()
            tag = f'"{sha256_hex(body)}"'
            if self.polls[-1] == tag:
                return Response(status_code=304)
            return Response(body, headers={"ETag": tag}, media_type="application/json")

        grants = Route("/v1/projects/{project}/models/{model}/grant", grant)
        return Starlette(routes=[grants, Route("/v1/api-keys", api_keys)])


class WatchedHealth(Health):
    """A health whose changes can be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()

    def waiting(self, what: str, reason: str) -> None:
        super().waiting(what, reason)
        self.changed.set()

    def ready(self, what: str) -> None:
        super().ready(what)
        self.changed.set()

    def degraded(self, what: str, reason: str | None) -> None:
        super().degraded(what, reason)
        self.changed.set()


class World:
    """Everything around a replica, and ways to make it misbehave."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker = MemoryBroker()
        self.store = MemoryBlobs()
        self.desk = GrantDesk()
        self.identity, self.recipient = new_identity()
        self.key = self.signing_key("signer")
        self.other_key = self.signing_key("stranger")
        self.health = WatchedHealth()
        self._published = 0
        self._heard = self.broker.reader(SERVING_EVENTS, "first")

    def signing_key(self, name: str) -> SigningKey:
        """Make a signing key."""
        made = SigningKey(self.directory / f"{name}.pem", self.directory / f"{name}.pub")
        private, public = new_signing_key()
        made.private.write_bytes(private)
        made.public.write_bytes(public)
        return made

    def bundle(
        self,
        model: str,
        gain: float = 1.0,
        signer: SigningKey | None = None,
        golden: GoldenSet | None = None,
        graph: bytes | None = None,
        classes: tuple[str, ...] = ("red", "blue"),
        reference: Reference | None = None,
        project: str = "default",
    ) -> WrittenBundle:
        """Write a signed bundle of a cell detector."""
        source = self.directory / f"{model}.onnx"
        source.write_bytes(graph or cell_detector(gain))
        metrics = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=60)
        facts = ManifestFacts(
            model=model,
            project=project,
            job="j1",
            dataset_id="d" * 64,
            created_ms=1_700_000_000_000,
            class_schema=ClassSchema(name="cells", classes=classes),
            image_size=SIDE,
            thresholds=Thresholds(),
            validation=metrics,
            test=metrics,
            versions={},
            reference=reference,
        )
        artifact = ArtifactFacts(
            name="onnx-fp32",
            format="onnx",
            precision="fp32",
            input="float32-nchw-rgb-0-1",
            output="raw-yolo",
            agreement=Agreement(images=2, boxes=2, unmatched=0, max_box_px=0.0, max_score=0.0),
        )
        plain = [PlainArtifact(artifact, source)]
        key = (signer or self.key).private
        return write_bundle(self.directory / model, facts, plain, golden or golden_set(gain), key)

    async def publish(self, bundle: WrittenBundle) -> None:
        """Put what may lie in public into the model bucket."""
        project, model = bundle.manifest.project, bundle.manifest.model
        for name in ("manifest.json", "model.sig"):
            await self.store.put(keys.model(project, model, name), (bundle.directory / name).read_bytes())
        parts = bundle.write_big_parts(self.directory / f"{model}-big")
        for file in sealed_files(bundle.manifest):
            await self.store.put(keys.big_part(project, model, file.file), parts[file.file].read_bytes())

    def grant(self, bundle: WrittenBundle) -> None:
        """Let the device open the bundle."""
        place = (bundle.manifest.project, bundle.manifest.model)
        self.desk.grants[place] = make_grant(grant_content(bundle.key, "device"), self.recipient)

    def promotion(self, bundle: WrittenBundle, number: int, signer: SigningKey | None = None) -> ModelPromoted:
        """Sign a promotion."""
        project, model = bundle.manifest.project, bundle.manifest.model
        signed = promote(
            PromotionStatement(
                project=project,
                model=model,
                number=number,
                manifest_sha256=bundle.manifest_sha256,
                signed_ms=1_700_000_000_000,
            ),
            (signer or self.key).private,
        )
        files = {}
        for name in ("manifest.json", "model.sig"):
            content = (bundle.directory / name).read_bytes()
            key = keys.model(project, model, name)
            files[name] = FileRef(key=key, sha256=sha256_hex(content), size_bytes=len(content))
        return ModelPromoted(
            model=model,
            number=number,
            manifest=files["manifest.json"],
            signature=files["model.sig"],
            statement=signed.statement,
            statement_signature=signed.signature,
            reason="better",
        )

    async def say(self, promotion: ModelPromoted, project: str = "default") -> None:
        """Publish a promotion."""
        await self.broker.ensure_stream(MODEL_EVENTS)
        self._published += 1
        answers = f"{promotion.model}:{promotion.number}:{self._published}"
        envelope = Envelope.of(promotion, source="exporter", answers=answers, project=project)
        publisher = self.broker.publisher(MODEL_EVENTS, "exporter")
        await publisher.publish([(self._published, envelope.to_message())])

    async def promote(self, model: str, number: int, gain: float = 1.0, **told) -> WrittenBundle:
        """Publish, grant and promote a good model."""
        bundle = await asyncio.to_thread(self.bundle, model, gain, **told)
        await self.publish(bundle)
        self.grant(bundle)
        await self.say(self.promotion(bundle, number), bundle.manifest.project)
        return bundle

    async def until(self, condition) -> None:
        """Wait until the replica's health is as `condition` says."""
        while not condition():
            await self.health.changed.wait()
            self.health.changed.clear()

    async def heard(self):
        """The next event that the replica publishes."""
        while True:
            for delivery in await self._heard.read(at_most=1):
                return Envelope.from_message(decode(delivery.raw)).event

    def settings(self, projects: tuple[str, ...] = ("default",), **changes) -> InferenceSettings:
        """The replica's settings."""
        group = {
            "device_identity": self.identity,
            "device_token": TOKEN,
            "exporter_url": "http://exporter",
            "trusted_keys": (self.key.public,),
            "replica": "r1",
            "threads": 2,
            "retry_first_s": 0.01,
            "retry_most_s": 0.02,
            "access": "open",
            "runtimes": ("onnxruntime",),  # among networks of a few sums, chance would choose
            "worst_slowdown": 1e6,  # nor is one of them the slower one but by chance
            "longest_wait_ms": 60_000,
            **changes,
        }
        return InferenceSettings(
            broker={"username": "u", "password": "p"},
            store={"endpoint_url": "http://store", "access_key": "a", "secret_key": "s"},
            projects=projects,
            state_dir=self.directory / "state",
            inference=InferenceGroup(**group),
        )

    @asynccontextmanager
    async def replica(self, broker=None, **changes):
        """A running replica, which may see the broker otherwise; what it said before is not heard again."""
        self.health = WatchedHealth()
        transport = httpx.ASGITransport(self.desk.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as exporter:
            settings = self.settings(**changes)
            grants = ExporterApi(exporter, settings.inference.device_token)
            access = access_of(settings, self.health, ExporterKeys(exporter, settings.inference.device_token))
            replica = put_together(settings, self.health, broker or self.broker, self.store, grants, access)
            parts = (replica.follower, replica.telemetry, replica.access)
            tasks = [asyncio.create_task(part.run()) for part in parts]
            try:
                async with client_of(replica) as client:
                    yield client
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                replica.answering.close()
            faults = [each for each in ended if each and not isinstance(each, asyncio.CancelledError)]
            assert not faults, faults


@asynccontextmanager
async def client_of(replica: Replica):
    """A client of the replica's API."""
    transport = httpx.ASGITransport(replica.api)
    async with httpx.AsyncClient(transport=transport, base_url="http://inference") as client:
        yield client


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world without a replica in it."""
    return World(tmp_path)


@pytest.fixture
def draw():
    """Draws a picture with coloured cells."""
    return picture


@pytest.fixture
def red_picture() -> bytes:
    """A picture with one red cell, at row 1 and column 4."""
    return picture((1, 4, RED))


@pytest.fixture
def detector():
    """Builds the cell detector's graph."""
    return cell_detector


@pytest.fixture
def golden():
    """Builds the golden set of a cell detector."""
    return golden_set
