"""From a directory of sealed files to a proven model in memory; the same with and without a network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference.engine.choosing import Engines
from inference.engine.contract import Engine
from inference.engine.golden import check_golden
from inference.serving.memory import give_back
from inference.serving.models import ServingModel
from inference.serving.ports import Decode
from labelstream.bundle import Artifact, GrantContent
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.protection.bundling import VerifiedBundle, verify_bundle
from labelstream.protection.grants import check_grant, open_grant
from labelstream.protection.promotions import PromotionStatement
from labelstream.protection.verifying import check_classes


@dataclass(frozen=True)
class Loader:
    """Opens bundles: the signature first, then the seal, then the golden images.

    It is called in a thread, beside those that answer. None of its steps holds the interpreter for long (hashing,
    age, and the runtimes' compilers let it go), and the thread has the priority of any other: one of less would keep
    the event loop waiting whenever it is put aside while it holds the interpreter, and the pools that a runtime starts
    in it would have that priority for good.
    """

    trusted_keys: Sequence[Path]
    device_identity: str = field(repr=False)  # the text of an age identity file; a plugin's will do
    engines: Engines
    decode: Decode

    def open_grant(self, grant: bytes, *, model: str, project: str) -> GrantContent:
        """Open this device's grant of a model. Raises Rejected."""
        content = open_grant(grant, self.device_identity, now_ms=int(time.time() * 1000))
        check_grant(content, model=model, project=project)
        return content

    def load(
        self, directory: Path, grant: bytes, promoted: PromotionStatement, classes: ClassSchema | None = None
    ) -> ServingModel:
        """Return the model that lies sealed in `directory`; what is opened stays in memory.

        `classes`: what apps take the class ids for; a model that gives one another meaning is refused.
        Raises Rejected when the bundle is not what was signed and promoted, does not open, or gives other answers.
        """
        verified = self.verify(directory)
        if verified.manifest_sha256 != promoted.manifest_sha256:  # an older bundle of ours, put in its place
            raise Rejected(
                "model.manifest_differs",
                f"here lies {verified.manifest.model}, and not what promotion {promoted.number} of {promoted.model} "
                "names",
                "Somebody exchanged it on the disk; it is fetched again.",
            )
        if classes is not None:
            check_classes(verified.manifest, classes)
        return self.open(verified, grant, promoted.number)

    def verify(self, directory: Path) -> VerifiedBundle:
        """Check who signed a bundle, and that it is as it was signed; nothing is opened. Raises Rejected."""
        return verify_bundle(directory, self.trusted_keys)

    def open(self, verified: VerifiedBundle, grant: bytes, promotion: int) -> ServingModel:
        """Open a bundle in memory, and prove on its golden images that it answers as it must. Raises Rejected."""
        manifest = verified.manifest
        identity = self.open_grant(grant, model=manifest.model, project=manifest.project).identity
        golden = verified.open_golden(identity)

        def read(artifact: Artifact) -> bytes:
            return verified.open_artifact(identity, artifact)

        def prove(engine: Engine, artifact: Artifact) -> None:
            check_golden(engine, manifest, artifact, golden, self.decode)

        try:
            return ServingModel(manifest, promotion, self.engines.open_fastest(manifest, read, prove))
        finally:
            give_back()
