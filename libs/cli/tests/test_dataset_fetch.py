"""What pulling a dataset says when it can't be had."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream.values import SPLITS, FileRef, Position
from labelstream_cli.datasets.catalogue import Stored
from labelstream_cli.datasets.fetch import pulled
from labelstream_cli.datasets.place import Place
from labelstream_cli.reaching import not_told
from labelstream_cli.running import CommandFailed
from labelstream_datasets.description import DatasetDescription


async def test_what_is_wrong_is_said_in_a_sentence_not_by_its_rule(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    description = DatasetDescription(
        id="a" * 64,
        project="default",
        cut=Position(stream=ANNOTATION_EVENTS, offset=40),
        class_schema=ClassSchema(name="scenes", classes=("car",)),
        recipe="c" * 64,
        counts={},
        manifest=FileRef.of("gone", b"content"),
    )
    file = FileRef.of("dataset.json", description.to_json())
    await blobs.put(file.key, description.to_json())
    place = Place("default", MemoryBroker(), blobs, tmp_path, Health(), not_told)
    stored = Stored(description.id, datetime(2026, 1, 1, tzinfo=UTC), file, description, None)
    with pytest.raises(CommandFailed, match=r"^the store has no gone\. ") as refused:
        await pulled(place, stored, tmp_path / "d", SPLITS)
    assert "object.missing" not in str(refused.value)
