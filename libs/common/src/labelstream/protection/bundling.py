"""Bundles: writing, publishing in parts, putting together, verifying, opening. In that order."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

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
from labelstream.protection.grants import pack, unpack
from labelstream.protection.measuring import Measured
from labelstream.protection.sealing import new_identity, open_stream, recipient_of, seal_stream
from labelstream.protection.signing import sign_directory, verify_directory
from labelstream.protection.splitting import join_file, small_part, write_big_part
from labelstream.values import sha256_hex


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


@dataclass(frozen=True)
class OpenedBundle:
    """What a bundle holds, in memory."""

    manifest: Manifest
    artifacts: dict[str, bytes] = field(repr=False)  # by the artifact's name
    golden: GoldenSet = field(repr=False)


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

    What already lies in the directory, such as a report, is signed along; sealed files must not lie there yet.
    """
    directory.mkdir(parents=True, exist_ok=True)
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


def verify_bundle(directory: Path, public_keys: Sequence[Path]) -> VerifiedBundle:
    """Check a bundle's signature and that its manifest tells the truth; nothing is opened. Raises Rejected."""
    signed = verify_directory(directory, directory / SIGNATURE, public_keys)
    if MANIFEST not in signed:
        raise Rejected("bundle.no_manifest", f"{directory.name} has no {MANIFEST}", "Fetch the bundle again")
    content = (directory / MANIFEST).read_bytes()
    if sha256_hex(content) != signed[MANIFEST]:
        raise _changed(MANIFEST)
    manifest = read_manifest(content)
    for file in sealed_files(manifest):
        if signed.get(file.file) != file.sealed_sha256:
            reason = f"the manifest and the signature disagree about {file.file}"
            raise Rejected("bundle.inconsistent", reason, "Export the model again")
    return VerifiedBundle(directory, manifest, signed[MANIFEST])


@dataclass(frozen=True)
class VerifiedBundle:
    """A bundle that is what was signed. Made by `verify_bundle` alone; nothing else can be opened."""

    directory: Path
    manifest: Manifest
    manifest_sha256: str

    def open(self, identity: str, names: Collection[str] | None = None) -> OpenedBundle:
        """Open the artifacts called `names` (all by default) and the golden set, in memory. Raises Rejected."""
        wanted = [each for each in self.manifest.artifacts if names is None or each.name in names]
        if names is not None and len(wanted) < len(set(names)):
            missing = sorted(set(names) - {each.name for each in wanted})
            raise Rejected("bundle.no_artifact", f"the bundle has no {missing}", "Export the model in that format")
        return OpenedBundle(
            self.manifest,
            {each.name: self._open(each, identity) for each in wanted},
            unpack(GoldenSet, self._open(self.manifest.golden, identity), rule="bundle.bad_golden"),
        )

    def _open(self, file: SealedFile, identity: str) -> bytes:
        with (self.directory / file.file).open("rb") as source:
            sealed, content = Measured(source), io.BytesIO()
            plain = Measured(content)
            open_stream(sealed, plain, identity)
            sealed.drain()
        if (sealed.size_bytes, sealed.sha256) != (file.sealed_bytes, file.sealed_sha256):
            raise _changed(file.file)
        if (plain.size_bytes, plain.sha256) != (file.plain_bytes, file.plain_sha256):
            reason = f"{file.file} holds something else than the manifest says"
            raise Rejected("bundle.inconsistent", reason, "Export the model again")
        return content.getvalue()


def read_manifest(content: bytes) -> Manifest:
    """Parse a manifest; a signature must vouch for it before anything else is done. Raises Rejected."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise Rejected("bundle.bad_manifest", f"{MANIFEST} is not valid: {error}", "Export the model again") from error


def sealed_files(manifest: Manifest) -> Iterable[SealedFile]:
    """Every sealed file of a bundle."""
    return (*manifest.artifacts, manifest.golden)


def _seal_artifact(artifact: PlainArtifact, directory: Path, recipient: str) -> Artifact:
    with artifact.path.open("rb") as plain:
        sealed = _seal(plain, directory / f"{artifact.facts.name}.age", recipient)
    return Artifact(**sealed.model_dump(), **artifact.facts.model_dump())


def _seal(content: BinaryIO, target: Path, recipient: str) -> SealedFile:
    plain = Measured(content)
    with target.open("xb") as file:  # two artifacts of one name are our mistake
        sealed = Measured(file)
        seal_stream(plain, sealed, [recipient])
    return SealedFile(
        file=target.name,
        sealed_sha256=sealed.sha256,
        sealed_bytes=sealed.size_bytes,
        small_bytes=len(small_part(target)),
        plain_sha256=plain.sha256,
        plain_bytes=plain.size_bytes,
    )


def _changed(name: str) -> Rejected:
    return Rejected("bundle.changed", f"{name} changed after its signature was checked", "Verify the bundle again")
