"""Verifying a bundle: its signature, and that its manifest tells the truth. Nothing is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from labelstream.bundle import MANIFEST, SIGNATURE, Manifest, SealedFile
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.protection.opening import VerifiedBundle, changed
from labelstream.protection.signing import CHANGED, NotAsSigned, verify_directory
from labelstream.values import sha256_hex


def verify_bundle(
    directory: Path, public_keys: Sequence[Path], *, classes: ClassSchema | None = None
) -> VerifiedBundle:
    """Check a bundle's signature and that its manifest tells the truth; nothing is opened. Raises Rejected.

    `classes` is what the class ids of the project are known to mean; see `check_classes`.
    """
    signed = verify_files(directory, public_keys)
    manifest = signed_manifest(directory, signed)
    check_consistency(manifest, signed)
    if classes is not None:
        check_classes(manifest, classes)
    return VerifiedBundle(directory, manifest, signed[MANIFEST])


def verify_files(directory: Path, public_keys: Sequence[Path]) -> dict[str, str]:
    """Return the digests of a bundle's files, by name, as they were signed and as they are. Raises Rejected."""
    try:
        return verify_directory(directory, directory / SIGNATURE, public_keys)
    except NotAsSigned as error:
        raise _cut_off(directory, error) or error from error


def signed_manifest(directory: Path, signed: Mapping[str, str]) -> Manifest:
    """Return the manifest that was signed. Raises Rejected."""
    if MANIFEST not in signed:
        raise Rejected("bundle.no_manifest", f"{directory.name} has no {MANIFEST}", "Fetch the bundle again")
    content = (directory / MANIFEST).read_bytes()
    if sha256_hex(content) != signed[MANIFEST]:
        raise changed(MANIFEST)
    return read_manifest(content)


def check_consistency(manifest: Manifest, signed: Mapping[str, str]) -> None:
    """Raise Rejected unless the manifest lists exactly the files that were signed."""
    listed = {**manifest.files, **{file.file: file.sealed_sha256 for file in sealed_files(manifest)}}
    for name in sorted((listed.keys() | signed.keys()) - {MANIFEST}):
        if listed.get(name) != signed.get(name):
            reason = f"the manifest and the signature disagree about {name}"
            raise Rejected("bundle.inconsistent", reason, "Export the model again")


def check_classes(manifest: Manifest, known: ClassSchema) -> None:
    """Raise Rejected when the bundle gives a class id another meaning than `known`; either may have more classes."""
    theirs, ours = manifest.class_schema.classes, known.classes
    for class_id, (there, here) in enumerate(zip(theirs, ours, strict=False)):
        if there != here:
            raise Rejected(
                "bundle.foreign_classes",
                f"class {class_id} is {there!r} in the bundle of {manifest.model}, and {here!r} in the project",
                "Use the model in the project that its class schema is from; ids are only ever added",
            )


def check_small_parts(manifest: Manifest, small_parts: Mapping[str, bytes]) -> None:
    """Raise Rejected unless a grant's small parts are those of this bundle."""
    for file in sealed_files(manifest):
        small = small_parts.get(file.file)
        if small is None:
            reason = f"the grant holds no small part of {file.file}"
            raise Rejected("bundle.no_small_part", reason, "Ask for a new grant")
        if sha256_hex(small) != file.small_sha256:
            raise Rejected(
                "bundle.small_part_differs",
                f"the small part of {file.file} in the grant is not that of {manifest.model}: "
                "it was changed, or is another model's",
                "Ask for a new grant",
            )


def read_manifest(content: bytes) -> Manifest:
    """Parse a manifest; a signature must vouch for it before anything else is done. Raises Rejected."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise Rejected("bundle.bad_manifest", f"{MANIFEST} is not valid: {error}", "Export the model again") from error


def sealed_files(manifest: Manifest) -> Iterable[SealedFile]:
    """Every sealed file of a bundle."""
    return (*manifest.artifacts, manifest.golden)


def _cut_off(directory: Path, error: NotAsSigned) -> Rejected | None:
    """Return what to say when all that is wrong is that sealed files end too early; None when it is something else."""
    if error.rule != CHANGED or MANIFEST in error.changed:
        return None
    manifest = read_manifest((directory / MANIFEST).read_bytes())
    files = [file for file in sealed_files(manifest) if file.file in error.changed]
    if len(files) < len(error.changed) or not all(_ends_early(directory / file.file, file) for file in files):
        return None
    said = "; ".join(
        f"{file.file} has {(directory / file.file).stat().st_size} of {file.sealed_bytes} bytes" for file in files
    )
    return Rejected("bundle.truncated", f"{directory.name} is cut off: {said}", "Fetch it again")


def _ends_early(path: Path, file: SealedFile) -> bool:
    """Say whether a file is for certain the beginning of what it was: its small part is, and it is shorter."""
    if path.stat().st_size >= file.sealed_bytes:
        return False
    with path.open("rb") as sealed:
        return sha256_hex(sealed.read(file.small_bytes)) == file.small_sha256
