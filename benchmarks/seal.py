"""Sealing and opening a file of 128 MiB, against bare pyrage; and a bundle's artifact, against its parts.

Sealing and opening run from file to file. A bundle is also measured, split and signed when it is
written, and verified, opened and measured when it is read: there, bare is pyrage and one SHA-256 of
each side of the seal. The ratio is ours to bare in MiB/s: 0.8 is the least that is wanted of sealing
and opening. Beside them stands the legacy form, AES-256-CBC without authentication, in memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pyrage

from benchmarks.pairs import Contest, Run
from labelstream.bundle import ArtifactFacts, GoldenSet, ManifestFacts, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.model import Agreement
from labelstream.events.training import Metrics
from labelstream.protection.bundling import PlainArtifact, verify_bundle, write_bundle
from labelstream.protection.legacy import open_legacy, seal_legacy
from labelstream.protection.sealing import new_identity, open_stream, seal_stream
from labelstream.protection.signing_keys import new_signing_key

MEBIBYTES = 128
BLOCK = 1 << 20
LEGACY_KEY = "a key string"


@asynccontextmanager
async def contests(folder: Path) -> AsyncIterator[list[Contest]]:
    """Write the file, and a bundle that holds it."""
    lab = Lab(folder)
    lab.prepare()
    others = {
        "seal": (lab.seal, lab.seal_bare),
        "open": (lab.open, lab.open_bare),
        "write a bundle": (lab.write_bundle, lab.write_bundle_bare),
        "verify and open a bundle": (lab.open_bundle, lab.open_bundle_bare),
        "legacy form: seal": (lab.seal_legacy, lab.seal_bare),
        "legacy form: open": (lab.open_legacy, lab.open_bare),
    }
    yield [
        Contest(name, _timed(ours), {"bare": _timed(bare)}, MEBIBYTES, "MiB", "ratio_to_ceiling")
        for name, (ours, bare) in others.items()
    ]


def _timed(work: Callable[[], None]) -> Run:
    async def run() -> float:
        await asyncio.to_thread(os.sync)  # what an earlier run wrote is on the disk before the clock starts
        began = time.perf_counter()
        await asyncio.to_thread(work)
        return time.perf_counter() - began

    return run


@dataclass
class Lab:
    """A file of random bytes, keys, and what is done with them."""

    folder: Path

    def prepare(self) -> None:
        """Write the file, its sealed form and the keys; nothing of it is timed."""
        self.plain, self.sealed, self.target = (self.folder / name for name in ("plain", "plain.age", "target"))
        with self.plain.open("wb") as file:
            for _ in range(MEBIBYTES):
                file.write(os.urandom(BLOCK))
        self.identity, self.recipient = new_identity()
        private, public = new_signing_key()
        self.signing_key, self.public_key = self.folder / "key.pem", self.folder / "key.pub"
        self.signing_key.write_bytes(private)
        self.public_key.write_bytes(public)
        self.seal()
        self.target.rename(self.sealed)
        self.legacy = self.folder / "plain.legacy"
        self.seal_legacy()
        self.target.rename(self.legacy)
        self._write_bundle(self.folder / "bundle")

    def seal(self) -> None:
        """Seal the file our way."""
        with self.plain.open("rb") as plain, self.target.open("wb") as sealed:
            seal_stream(plain, sealed, [self.recipient])

    def seal_bare(self) -> None:
        """Seal the file with pyrage."""
        pyrage.encrypt_file(str(self.plain), str(self.target), [pyrage.x25519.Recipient.from_str(self.recipient)])

    def open(self) -> None:
        """Open the sealed file our way."""
        with self.sealed.open("rb") as sealed, self.target.open("wb") as plain:
            open_stream(sealed, plain, self.identity)

    def open_bare(self) -> None:
        """Open the sealed file with pyrage."""
        pyrage.decrypt_file(str(self.sealed), str(self.target), [pyrage.x25519.Identity.from_str(self.identity)])

    def seal_legacy(self) -> None:
        """Protect the file in the legacy form."""
        self.target.write_bytes(seal_legacy(self.plain.read_bytes(), LEGACY_KEY))

    def open_legacy(self) -> None:
        """Open the file in the legacy form."""
        self.target.write_bytes(open_legacy(self.legacy.read_bytes(), LEGACY_KEY))

    def write_bundle(self) -> None:
        """Write a signed bundle of the file."""
        shutil.rmtree(self.folder / "new", ignore_errors=True)
        self._write_bundle(self.folder / "new")

    def write_bundle_bare(self) -> None:
        """Seal the file, and take the digest of both."""
        self.seal_bare()
        for path in (self.plain, self.target):
            _digest(path)

    def open_bundle(self) -> None:
        """Verify a bundle, and open it into memory."""
        opened = verify_bundle(self.folder / "bundle", [self.public_key]).open(self.identity)
        assert len(opened.artifacts["onnx-fp32"]) == MEBIBYTES * BLOCK

    def open_bundle_bare(self) -> None:
        """Take the digest of the sealed file, open it into memory, and take that digest."""
        _digest(self.sealed)
        plain = pyrage.decrypt(self.sealed.read_bytes(), [pyrage.x25519.Identity.from_str(self.identity)])
        assert hashlib.sha256(plain).digest()
        assert len(plain) == MEBIBYTES * BLOCK

    def _write_bundle(self, directory: Path) -> None:
        golden = GoldenSet(images=(), max_box_px=1, max_score=0.01)
        artifact = PlainArtifact(_artifact_facts(), self.plain)
        write_bundle(directory, _facts(), [artifact], golden, self.signing_key, self.identity)


def _digest(path: Path) -> None:
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def _artifact_facts() -> ArtifactFacts:
    return ArtifactFacts(
        name="onnx-fp32",
        format="onnx",
        precision="fp32",
        input="float32-nchw-rgb-0-1",
        output="raw-yolo",
        agreement=Agreement(images=1, boxes=1, unmatched=0, max_box_px=0, max_score=0),
    )


def _facts() -> ManifestFacts:
    metrics = Metrics(map50=0.9, map50_95=0.7, precision=0.9, recall=0.8, images=1, per_class={"car": 0.7})
    return ManifestFacts(
        model="bench",
        project="default",
        job="bench",
        dataset_id="d" * 64,
        created_ms=1_700_000_000_000,
        class_schema=ClassSchema(name="bench", classes=("car",)),
        image_size=640,
        thresholds=Thresholds(),
        validation=metrics,
        test=metrics,
        versions={},
    )
