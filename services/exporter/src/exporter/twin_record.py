"""What is known of a legacy twin: written by the decider, read by the public API before it hands out the small part."""

from __future__ import annotations

import re

from pydantic import Field, ValidationError

from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Unavailable
from labelstream.values import Sha256, Value

FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # never a path


class TwinRecord(Value):
    """An artifact of a model in the legacy form, in two parts."""

    project: str
    model: str
    artifact: str
    folder: str
    file: str
    small_sha256: Sha256
    small_bytes: int
    big_sha256: Sha256
    big_bytes: int
    plain_sha256: Sha256 = Field(description="of what a reader has in the end: the legacy form itself proves nothing")
    plain_bytes: int
    written_ms: int


def record_key(folder: str, file: str) -> str:
    """The key of a twin's record in the resources bucket."""
    return f"legacy-records/{folder}/{file}.json"


async def read_record(resources: Blobs, folder: str, file: str) -> TwinRecord | None:
    """Return what is known of a twin; None when there is none. Raises Unavailable."""
    key = record_key(folder, file)
    try:
        data = (await resources.get(key)).data
    except BlobNotFound:
        return None
    try:
        return TwinRecord.model_validate_json(data)
    except ValidationError:
        raise Unavailable("resources bucket", f"{key} can't be read; write the twin again") from None
