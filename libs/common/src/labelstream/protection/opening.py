"""Opening a bundle that was verified: into memory, or only to see that it opens."""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from labelstream.bundle import Artifact, GoldenSet, Manifest, SealedFile
from labelstream.errors import Rejected
from labelstream.protection.grants import unpack
from labelstream.protection.measuring import Measured
from labelstream.protection.sealing import open_stream


@dataclass(frozen=True)
class OpenedBundle:
    """What a bundle holds, in memory."""

    manifest: Manifest
    artifacts: dict[str, bytes] = field(repr=False)  # by the artifact's name
    golden: GoldenSet = field(repr=False)


@dataclass(frozen=True)
class VerifiedBundle:
    """A bundle that is what was signed. Made by `verify_bundle` alone; nothing else can be opened."""

    directory: Path
    manifest: Manifest
    manifest_sha256: str

    def open(self, identity: str, names: Collection[str] | None = None) -> OpenedBundle:
        """Open the artifacts called `names` (all by default) and the golden set, in memory. Raises Rejected.

        Takes the memory of what is opened, once.
        """
        wanted = [each for each in self.manifest.artifacts if names is None or each.name in names]
        if names is not None and len(wanted) < len(set(names)):
            missing = sorted(set(names) - {each.name for each in wanted})
            raise Rejected("bundle.no_artifact", f"the bundle has no {missing}", "Export the model in that format")
        return OpenedBundle(
            self.manifest,
            {each.name: self._open(each, identity) for each in wanted},
            self.open_golden(identity),
        )

    def open_golden(self, identity: str) -> GoldenSet:
        """Open the golden set. Raises Rejected."""
        return unpack(GoldenSet, self._open(self.manifest.golden, identity), rule="bundle.bad_golden")

    def open_artifact(self, identity: str, artifact: Artifact) -> bytes:
        """Open one artifact of the manifest, in memory. Raises Rejected."""
        return self._open(artifact, identity)

    def prove(self, identity: str, file: SealedFile) -> None:
        """Open a file and compare it with what the manifest says, in constant memory; keep nothing. Raises Rejected."""
        with Path(os.devnull).open("wb") as nowhere:
            self._open_to(nowhere, file, identity)

    def _open(self, file: SealedFile, identity: str) -> bytes:
        content = io.BytesIO()
        self._open_to(content, file, identity)
        return content.getvalue()  # the buffer itself: it is not copied while nobody else looks at it

    def _open_to(self, target: BinaryIO, file: SealedFile, identity: str) -> None:
        with (self.directory / file.file).open("rb") as source:
            sealed, plain = Measured(source), Measured(target)
            open_stream(sealed, plain, identity)
            sealed.drain()
        if (sealed.size_bytes, sealed.sha256) != (file.sealed_bytes, file.sealed_sha256):
            raise changed(file.file)
        if (plain.size_bytes, plain.sha256) != (file.plain_bytes, file.plain_sha256):
            reason = f"{file.file} holds something else than the manifest says"
            raise Rejected("bundle.inconsistent", reason, "Export the model again")


def changed(name: str) -> Rejected:
    """Refuse a file that is not any more what its signature was checked for."""
    return Rejected("bundle.changed", f"{name} changed after its signature was checked", "Verify the bundle again")
