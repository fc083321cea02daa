"""A signed bundle, its promotion and a device's grant: the directory that `labelstream models pull` leaves."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from exporter.engine.contract import ExportResult
from exporter.exporting.limits import limits_of
from labelstream.bundle import GoldenImage, GoldenSet, ManifestFacts, Thresholds
from labelstream.classes import ClassSchema
from labelstream.events.training import Metrics
from labelstream.formats import Format
from labelstream.protection.bundling import PlainArtifact, WrittenBundle, write_bundle
from labelstream.protection.grants import grant_content, make_grant
from labelstream.protection.promotions import PromotionStatement, promote
from labelstream.protection.pulled import BUNDLE, GRANT, PROMOTION, PulledPromotion
from labelstream.protection.sealing import new_identity
from labelstream.protection.signing_keys import new_signing_key

GOLDEN_BOX_PX, GOLDEN_SCORE = 2.0, 0.02  # as the exporter allows


def write_pulled(
    folder: Path, proved: Sequence[ExportResult], classes: tuple[str, ...], scores: tuple[Metrics, Metrics]
) -> None:
    """Write `pulled/` with everything in it, the device's identity and the public key beside."""
    private, public = new_signing_key()
    (folder / "signer.pem").write_bytes(private)
    (folder / "signer.pub").write_bytes(public)
    identity, recipient = new_identity()
    (folder / "device.age-identity").write_text(identity + "\n")
    coming = folder / "pulled-coming"
    shutil.rmtree(coming, ignore_errors=True)
    bundle = _bundle(coming / BUNDLE, proved, classes, scores, folder / "signer.pem")
    (coming / GRANT).write_bytes(make_grant(grant_content(bundle.key, "bench"), recipient))
    signed = promote(
        PromotionStatement(
            project=bundle.manifest.project,
            model=bundle.manifest.model,
            number=1,
            manifest_sha256=bundle.manifest_sha256,
            signed_ms=int(time.time() * 1000),
        ),
        folder / "signer.pem",
    )
    told = PulledPromotion(statement=signed.statement, statement_signature=signed.signature)
    (coming / PROMOTION).write_text(told.model_dump_json())
    coming.rename(folder / "pulled")


def _bundle(
    directory: Path,
    proved: Sequence[ExportResult],
    classes: tuple[str, ...],
    scores: tuple[Metrics, Metrics],
    signing_key: Path,
) -> WrittenBundle:
    first = proved[0]
    facts = ManifestFacts(
        model="bench",
        project="default",
        job="bench",
        dataset_id="d" * 64,
        created_ms=int(time.time() * 1000),
        class_schema=ClassSchema(name="bench", classes=classes),
        image_size=first.image_size,
        thresholds=Thresholds(),
        validation=scores[0],
        test=scores[1],
        versions={name: version for result in reversed(proved) for name, version in result.versions.items()},
    )
    artifacts = [
        PlainArtifact(
            each.facts.model_copy(update={"limits": limits_of(Format.parse(each.facts.name), {})}), each.artifact
        )
        for each in proved
    ]
    images = tuple(GoldenImage(image=each.image.read_bytes(), boxes=each.boxes) for each in first.golden)
    golden = GoldenSet(images=images, max_box_px=GOLDEN_BOX_PX, max_score=GOLDEN_SCORE)
    return write_bundle(directory, facts, artifacts, golden, signing_key)
