"""A project's class schema in the store: what the ids of its annotations mean, once and for all."""

from __future__ import annotations

from labelstream import keys
from labelstream.blobs.ports import BlobChanged, BlobNotFound, Blobs
from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured, Unavailable


async def record_schema(blobs: Blobs, project: str, schema: ClassSchema) -> None:
    """Record the schema that a project's annotations use from now on; it may only add classes to the one before.

    Raises Misconfigured when it would give an id another meaning, Unavailable.
    """
    key, content = keys.class_schema(project), schema.model_dump_json().encode()
    if await blobs.create(key, content) is not None:
        return
    stored = await blobs.get(key)
    before = ClassSchema.model_validate_json(stored.data)
    if before.extends(schema):
        return  # a service that was told an older one; the ids mean the same
    if not schema.extends(before):
        raise Misconfigured(
            f"the class schema {schema.name!r} gives ids of project {project} another meaning: it had "
            f"{', '.join(before.classes)}, and is to have {', '.join(schema.classes)}. Only add classes at the end, "
            "or use another project"
        )
    try:
        await blobs.replace(key, content, stored.etag)
    except BlobChanged as error:
        raise Unavailable("class schema", f"{key} is being changed by somebody else") from error


async def recorded_schema(blobs: Blobs, project: str) -> ClassSchema:
    """Return the schema that a project's annotations use. Raises Unavailable while none is recorded."""
    try:
        stored = await blobs.get(keys.class_schema(project))
    except BlobNotFound as error:
        raise Unavailable("class schema", f"project {project} has none yet: annotation-ingest records it") from error
    return ClassSchema.model_validate_json(stored.data)
