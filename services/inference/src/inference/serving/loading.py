"""From a directory of sealed files to a proven model in memory; the same with and without a network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference.engine.golden import check_golden
from inference.serving.models import ServingModel
from inference.serving.ports import Decode, OpenEngine
from labelstream.bundle import Artifact, GrantContent, Manifest
from labelstream.errors import Rejected
from labelstream.protection.bundling import verify_bundle
from labelstream.protection.grants import check_grant, open_grant
from labelstream.protection.promotions import PromotionStatement

RUN_HERE = ("float32-nchw-rgb-0-1", "raw-yolo")  # what goes into a graph and comes out


@dataclass(frozen=True)
class Loader:
    """Opens bundles: the signature first, then the seal, then the golden images."""

    trusted_keys: Sequence[Path]
    device_identity: str = field(repr=False)
    engines: dict[str, OpenEngine]  # by artifact format
    decode: Decode

    def open_grant(self, grant: bytes, *, model: str, project: str) -> GrantContent:
        """Open this device's grant of a model. Raises Rejected."""
        content = open_grant(grant, self.device_identity, now_ms=int(time.time() * 1000))
        check_grant(content, model=model, project=project)
        return content

    def load(self, directory: Path, grant: bytes, promoted: PromotionStatement) -> ServingModel:
        """Return the model that lies sealed in `directory`; what is opened stays in memory.

        Raises Rejected when the bundle is not what was signed and promoted, does not open, or gives other answers.
        """
        verified = verify_bundle(directory, self.trusted_keys)
        manifest = verified.manifest
        if verified.manifest_sha256 != promoted.manifest_sha256:  # an older bundle of ours, put in its place
            raise Rejected(
                "model.manifest_differs",
                f"here lies {manifest.model}, and not what promotion {promoted.number} of {promoted.model} names",
                "Somebody exchanged it on the disk; it is fetched again.",
            )
        content = self.open_grant(grant, model=manifest.model, project=manifest.project)
        artifact = self._choose(manifest)
        opened = verified.open(content.identity, [artifact.name])
        engine = self.engines[artifact.format](manifest, artifact.name, opened.artifacts[artifact.name])
        check_golden(engine, manifest, artifact, opened.golden, self.decode)
        return ServingModel(manifest, promoted.number, engine)

    def _choose(self, manifest: Manifest) -> Artifact:
        """Return the first artifact that an engine of ours runs; the exporter's settings say which comes first."""
        for artifact in manifest.artifacts:
            if artifact.format in self.engines and (artifact.input, artifact.output) == RUN_HERE and not artifact.batch:
                return artifact
        raise Rejected(
            "model.no_artifact_for_us",
            f"the bundle holds {[each.name for each in manifest.artifacts]}, run here are those of the families "
            f"{sorted(self.engines)} that take {RUN_HERE[0]} in any batch and answer {RUN_HERE[1]}",
            "Export the model in one of those formats, such as onnx-fp32.",
        )
