"""A model bucket, an exporter that gives grants, and a device: what a pull meets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import (
    MANIFEST,
    REPORT,
    SIGNATURE,
    ArtifactFacts,
    GoldenImage,
    GoldenSet,
    ManifestFacts,
    Thresholds,
)
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.training import Metrics
from labelstream.protection.bundling import PlainArtifact, WrittenBundle, write_bundle
from labelstream.protection.grants import grant_content, make_grant
from labelstream.protection.promotions import PromotionStatement, promote
from labelstream.protection.pulled import PulledPromotion
from labelstream.protection.sealing import new_identity
from labelstream.protection.signing_keys import new_signing_key
from labelstream.values import FileRef
from labelstream_cli.models.exporter_api import SERVING, Offered
from labelstream_cli.models.pulling import Puller

TOKEN = "the device's token"
CLASSES = ClassSchema(name="vehicles", classes=("car", "truck"))


@dataclass
class PullWorld:
    """Writes models to a bucket and promotes them; is an exporter, too."""

    directory: Path
    store: MemoryBlobs = field(default_factory=MemoryBlobs)
    bundles: dict[str, WrittenBundle] = field(default_factory=dict)
    promotions: dict[str, PulledPromotion] = field(default_factory=dict)
    serving: str | None = None
    expires_ms: int | None = None
    grants_made: int = 0
    revoked: bool = False

    def __post_init__(self) -> None:
        self.identity, self.recipient = new_identity()
        self.private, self.public = self.directory / "signer.pem", self.directory / "signer.pub"
        for path, pem in zip((self.private, self.public), new_signing_key(), strict=True):
            path.write_bytes(pem)

    async def publish(self, model: str, weights: bytes = b"w" * 150_000, classes: ClassSchema = CLASSES) -> None:
        """Write a bundle of two formats, and put what may lie in public into the model bucket."""
        bundle = await asyncio.to_thread(self._write, model, weights, classes)
        for name in (MANIFEST, SIGNATURE, REPORT):
            await self.store.put(keys.model("default", model, name), (bundle.directory / name).read_bytes())
        for name, path in bundle.write_big_parts(self.directory / f"{model}-big").items():
            await self.store.put(keys.big_part("default", model, name), path.read_bytes())
        self.bundles[model] = bundle

    def _write(self, model: str, weights: bytes, classes: ClassSchema) -> WrittenBundle:
        metrics = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=60)
        facts = ManifestFacts(
            model=model,
            project="default",
            job="j1",
            dataset_id="d" * 64,
            created_ms=1_700_000_000_000,
            class_schema=classes,
            image_size=640,
            thresholds=Thresholds(),
            validation=metrics,
            test=metrics,
            versions={},
        )
        (self.directory / model).mkdir()
        (self.directory / model / REPORT).write_text("<h1>good</h1>")
        plain = [_plain(self.directory / f"{model}-{family}", family, weights) for family in ("onnx", "torchscript")]
        golden = GoldenSet(images=(GoldenImage(image=b"\xff\xd8", boxes=()),), max_box_px=1, max_score=0.01)
        return write_bundle(self.directory / model, facts, plain, golden, self.private)

    def promote(self, model: str, number: int, signer: Path | None = None) -> None:
        """Let a model serve."""
        digest = self.bundles[model].manifest_sha256
        statement = PromotionStatement(
            project="default", model=model, number=number, manifest_sha256=digest, signed_ms=0
        )
        signed = promote(statement, signer or self.private)
        self.promotions[model] = PulledPromotion(statement=signed.statement, statement_signature=signed.signature)
        self.serving = model

    async def find(self, told: str) -> Offered:
        """Tell of a model."""
        model = self.serving if told == SERVING else told
        if model not in self.bundles:
            raise Rejected("model-unknown", f"project 'default' has no model {told!r}", "See which there are.")
        bundle = self.bundles[model]
        ref = FileRef.of_file(keys.model("default", model, MANIFEST), bundle.directory / MANIFEST)
        return Offered(model=model, project="default", manifest=ref, promotion=self.promotions.get(model))

    async def grant(self, model: str) -> bytes:
        """Make a grant for the device."""
        if self.revoked:
            raise Rejected("device-revoked", "kiosk-7 was revoked", "Ask your operator.")
        self.grants_made += 1
        content = grant_content(self.bundles[model].key, "kiosk-7", expires_ms=self.expires_ms)
        return make_grant(content, self.recipient)

    def puller(self, **told: object) -> Puller:
        """Return the device's puller."""
        return Puller(self, told.pop("models", self.store), (self.public,), self.identity, **told)

    def app(self, makes_at_ask: int = 1, retry_after: str = "7") -> Starlette:
        """The same exporter over HTTP; a grant is there at the n-th time of asking, before that it is being made."""
        asked = dict.fromkeys(self.bundles, 0)

        async def models(request: Request) -> Response:
            first, *rest = sorted(self.bundles)
            page = [first] if "cursor" not in request.query_params else rest
            told = [(await self.find(model)).model_dump(mode="json") for model in page]
            return JSONResponse({"models": told, "next": None if "cursor" in request.query_params else "more"})

        async def model(request: Request) -> Response:
            try:
                return JSONResponse((await self.find(request.path_params["model"])).model_dump(mode="json"))
            except Rejected as error:
                return JSONResponse({"title": error.rule, "detail": error.reason, "hint": error.hint}, 404)

        async def grant(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return JSONResponse({"title": "token-unknown", "detail": "nobody's", "hint": "Enrol it."}, 401)
            name = request.path_params["model"]
            asked[name] += 1
            if asked[name] < makes_at_ask:
                return Response(status_code=202, headers={"Retry-After": retry_after})
            return Response(await self.grant(name))

        base = "/v1/projects/default/models"
        routes = [Route(base, models), Route(base + "/{model}", model), Route(base + "/{model}/grant", grant)]
        return Starlette(routes=routes)


def _plain(path: Path, family: str, weights: bytes) -> PlainArtifact:
    path.write_bytes(weights)
    facts = ArtifactFacts(
        name=f"{family}-fp32", format=family, precision="fp32", input="float32-nchw-rgb-0-1", output="raw-yolo"
    )
    return PlainArtifact(facts, path)
