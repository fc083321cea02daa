"""Bundles: writing, publishing in parts, putting together. `verifying` and `opening` come after."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from labelstream.bundle import (
    GOLDEN,
    MANIFEST,
    SIGNATURE,
    Artifact,
    ArtifactFacts,
    GoldenSet,
    Manifest,
    ManifestFacts,
    ModelKey,
    SealedFile,
)
from labelstream.errors import Rejected
from labelstream.protection.grants import pack
from labelstream.protection.measuring import Measured
from labelstream.protection.opening import OpenedBundle, VerifiedBundle
from labelstream.protection.sealing import new_identity, recipient_of, seal_stream
from labelstream.protection.signing import sign_directory
from labelstream.protection.splitting import join_file, small_part, write_big_part
from labelstream.protection.verifying import check_classes, read_manifest, sealed_files, verify_bundle
from labelstream.values import sha256_file, sha256_hex

__all__ = [
    "OpenedBundle",
    "PlainArtifact",
    "VerifiedBundle",
    "WrittenBundle",
    "check_classes",
    "put_together",
    "read_manifest",
    "sealed_files",
    "verify_bundle",
    "write_bundle",
]


@dataclass(frozen=True)
class PlainArtifact:
    """One format of the weights, as it comes from the converter."""

    facts: ArtifactFacts
    path: Path


@dataclass(frozen=True)
class WrittenBundle:
    """A signed bundle with whole sealed files, and the key that opens it."""

    directory: Path
    manifest: Manifest
    manifest_sha256: str
    key: ModelKey = field(repr=False)

    def write_big_parts(self, target: Path) -> dict[str, Path]:
        """Write what may lie in public to the directory `target`; return the paths by file name."""
        target.mkdir(parents=True, exist_ok=True)
        for file in sealed_files(self.manifest):
            write_big_part(self.directory / file.file, target / file.file)
        return {file.file: target / file.file for file in sealed_files(self.manifest)}


def write_bundle(
    directory: Path,
    facts: ManifestFacts,
    artifacts: Sequence[PlainArtifact],
    golden: GoldenSet,
    signing_key: Path,
    identity: str | None = None,
) -> WrittenBundle:
    """Seal everything to a key pair made for this model, write the manifest, and sign the directory.

    `identity` is the model's private key; without it, a new one is made.

    What already lies in the directory, such as a report, stays as it is, is listed in the manifest and signed along;
    sealed files must not lie there yet. Takes constant memory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    beside = {path.name: sha256_file(path) for path in sorted(directory.iterdir())}
    if identity is None:
        identity, _ = new_identity()
    recipient = recipient_of(identity)
    sealed = [_seal_artifact(each, directory, recipient) for each in artifacts]
    golden_file = _seal(io.BytesIO(pack(golden)), directory / GOLDEN, recipient)
    manifest = Manifest(
        **{name: getattr(facts, name) for name in ManifestFacts.model_fields},
        recipient=recipient,
        artifacts=tuple(sealed),
        golden=golden_file,
        files=beside,
    )
    content = manifest.model_dump_json(indent=2, by_alias=True).encode()
    (directory / MANIFEST).write_bytes(content)
    sign_directory(directory, directory / SIGNATURE, signing_key)
    small_parts = {file.file: small_part(directory / file.file) for file in sealed_files(manifest)}
    key = ModelKey(model=facts.model, project=facts.project, identity=identity, small_parts=small_parts)
    return WrittenBundle(directory, manifest, sha256_hex(content), key)


def put_together(directory: Path, small_parts: Mapping[str, bytes], big_parts: Mapping[str, Path]) -> None:
    """Write the whole sealed files of a bundle from their parts, by file name. Raises Rejected."""
    for name, big in big_parts.items():
        small = small_parts.get(name)
        if small is None:
            raise Rejected("bundle.no_small_part", f"the grant holds no small part of {name}", "Ask for a new grant")
        join_file(small, big, directory / name)


def _seal_artifact(artifact: PlainArtifact, directory: Path, recipient: str) -> Artifact:
    with artifact.path.open("rb") as plain:
        sealed = _seal(plain, directory / f"{artifact.facts.name}.age", recipient)
    return Artifact(**sealed.model_dump(), **artifact.facts.model_dump())


def _seal(content: BinaryIO, target: Path, recipient: str) -> SealedFile:
    plain = Measured(content)
    with target.open("xb") as file:  # two artifacts of one name are our mistake
        sealed = Measured(file)
        seal_stream(plain, sealed, [recipient])
    small = small_part(target)
    return SealedFile(
        file=target.name,
        sealed_sha256=sealed.sha256,
        sealed_bytes=sealed.size_bytes,
        small_bytes=len(small),
        small_sha256=sha256_hex(small),
        plain_sha256=plain.sha256,
        plain_bytes=plain.size_bytes,
    )
