"""How a job travels: MessagePack with string keys."""

from __future__ import annotations

from typing import Any

import msgpack
from pydantic import ValidationError

from labelstream.errors import Rejected
from labelstream.jobs.ports import Job

_HINT = "It lies in the queue jobs.dead; queue jobs with JobQueue.put"


def pack(job: Job) -> bytes:
    """Return a job's bytes."""
    packed: bytes = msgpack.packb(job.model_dump())
    return packed


def unpack(body: bytes) -> Job:
    """Return the job in `body`. Raises Rejected when it holds none."""
    try:
        fields: Any = msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException) as error:
        raise Rejected("job.not-messagepack", f"{len(body)} bytes that are not MessagePack", _HINT) from error
    try:
        return Job.model_validate(fields)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, e["loc"])) or "body" for e in error.errors())
        raise Rejected("job.not-a-job", f"wrong or missing: {where}", _HINT) from error
