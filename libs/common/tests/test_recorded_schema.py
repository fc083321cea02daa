"""What a project's class ids mean is recorded once, and only ever added to."""

from __future__ import annotations

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured, Unavailable
from labelstream.schemas.recorded import record_schema, recorded_schema


def schema(*classes: str) -> ClassSchema:
    return ClassSchema(name="roads", classes=classes)


async def test_the_first_schema_stands_and_classes_may_be_added():
    blobs = MemoryBlobs()
    await record_schema(blobs, "default", schema("car"))
    await record_schema(blobs, "default", schema("car", "boat"))
    assert (await recorded_schema(blobs, "default")).classes == ("car", "boat")


async def test_a_service_that_was_told_an_older_schema_takes_nothing_back():
    blobs = MemoryBlobs()
    await record_schema(blobs, "default", schema("car", "boat"))
    await record_schema(blobs, "default", schema("car"))
    assert (await recorded_schema(blobs, "default")).classes == ("car", "boat")


@pytest.mark.parametrize("classes", [("boat",), ("boat", "car"), ("car", "plane", "boat")])
async def test_an_id_is_never_given_another_meaning(classes):
    blobs = MemoryBlobs()
    await record_schema(blobs, "default", schema("car", "boat"))
    with pytest.raises(Misconfigured, match="another meaning"):
        await record_schema(blobs, "default", schema(*classes))
    await record_schema(blobs, "other", schema(*classes))


async def test_without_annotations_there_is_none_yet():
    with pytest.raises(Unavailable, match="has none yet"):
        await recorded_schema(MemoryBlobs(), "default")
