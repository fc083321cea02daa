"""A network of two files that travels as one archive, unpacked in memory: nothing that was opened touches a disk."""

from __future__ import annotations

import io
import tarfile

from labelstream.errors import Rejected

MODEL, WEIGHTS = "model.xml", "model.bin"


def unpacked(artifact: str, content: bytes) -> tuple[bytes, bytes]:
    """Return the model and the weights of an archive. Raises Rejected when it is not one that holds both."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = {entry.name: archive.extractfile(entry) for entry in archive if entry.name in (MODEL, WEIGHTS)}
            read = {name: file.read() for name, file in files.items() if file is not None}
    except tarfile.TarError as error:
        raise _unpackable(artifact, str(error)) from error
    if len(read) < 2:
        raise _unpackable(artifact, f"it holds {sorted(read) or 'nothing'}")
    return read[MODEL], read[WEIGHTS]


def _unpackable(artifact: str, why: str) -> Rejected:
    return Rejected(
        "model.unloadable", f"{artifact} is not an archive of {MODEL} and {WEIGHTS}: {why}", "Export the model again."
    )
