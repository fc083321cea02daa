"""A small model to protect, and keys to do it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from labelstream.bundle import REPORT, ArtifactFacts, GoldenImage, GoldenSet, ManifestFacts, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.model import Agreement
from labelstream.events.training import Metrics
from labelstream.labels import Box
from labelstream.protection.bundling import PlainArtifact, WrittenBundle, write_bundle
from labelstream.protection.signing_keys import new_signing_key

METRICS = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=60, per_class={"car": 0.7})


@dataclass(frozen=True)
class SigningKey:
    """A signing key's two files."""

    private: Path
    public: Path


@pytest.fixture
def make_key(tmp_path: Path):
    """Return a function that makes a signing key called by a name."""

    def make(name: str) -> SigningKey:
        key = SigningKey(tmp_path / f"{name}.pem", tmp_path / f"{name}.pub")
        private, public = new_signing_key()
        key.private.write_bytes(private)
        key.public.write_bytes(public)
        return key

    return make


@pytest.fixture
def key(make_key) -> SigningKey:
    """The signing key that is trusted."""
    return make_key("signer")


def facts(model: str = "m1") -> ManifestFacts:
    """What a manifest says of a model before anything is sealed."""
    return ManifestFacts(
        model=model,
        project="default",
        job="j1",
        dataset_id="d" * 64,
        created_ms=1_700_000_000_000,
        class_schema=ClassSchema(name="vehicles", classes=("car", "truck")),
        image_size=640,
        thresholds=Thresholds(),
        validation=METRICS,
        test=METRICS,
        versions={"torch": "2"},
    )


@pytest.fixture
def golden() -> GoldenSet:
    """One real test image, as it were, and its answer."""
    box = Box(class_id=0, x=0.5, y=0.5, w=0.1, h=0.2, confidence=0.9)
    image = GoldenImage(image=b"\xff\xd8 a picture", boxes=(box,))
    return GoldenSet(images=(image,), max_box_px=1.0, max_score=0.01)


@pytest.fixture
def write(tmp_path: Path, key: SigningKey, golden: GoldenSet):
    """Return a function that writes a bundle of given weights."""

    def write(model: str = "m1", weights: bytes = b"weights", signer: SigningKey = key) -> WrittenBundle:
        source = tmp_path / f"{model}.onnx"
        source.write_bytes(weights)
        artifact = ArtifactFacts(
            name="onnx-fp32",
            format="onnx",
            precision="fp32",
            input="float32-nchw-rgb-0-1",
            output="raw-yolo",
            agreement=Agreement(images=60, boxes=200, unmatched=0, max_box_px=0.01, max_score=0.0001),
        )
        return write_bundle(tmp_path / model, facts(model), [PlainArtifact(artifact, source)], golden, signer.private)

    return write


@pytest.fixture
def reported(write, tmp_path: Path) -> Callable[..., WrittenBundle]:
    """Return a function that writes a bundle with a report."""

    def make(model: str = "m1", weights: bytes = b"weights") -> WrittenBundle:
        (tmp_path / model).mkdir()
        (tmp_path / model / REPORT).write_text("<h1>good</h1>")
        return write(model, weights)

    return make
