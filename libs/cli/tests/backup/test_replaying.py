"""Streams of any shape come back: with holes, without a head, with few messages and many publishers."""

from __future__ import annotations

import asyncio
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from labelstream.streams.memory import MemoryBroker
from labelstream.streams.memory_writer import MemoryWriter
from labelstream.streams.message import Delivery
from labelstream.values import sha256_hex
from labelstream_cli.backup import segments
from labelstream_cli.backup.book import StreamBackup
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.backup.replaying import Replay
from labelstream_cli.reaching import stored

STREAM = "annotations"


@st.composite
def backups(draw: st.DrawFn) -> tuple[list[Delivery], list[int], dict[str, int]]:
    """Messages at rising offsets, where files begin, and who published them."""
    steps = draw(st.lists(st.integers(1, 4), min_size=1, max_size=25))
    head = draw(st.sampled_from([0, 0, 3, 400]))
    offsets, at = [], head - 1
    for step in steps:
        at += step
        offsets.append(at)
    messages = [Delivery(STREAM, offset, draw(st.binary(max_size=5)), 1) for offset in offsets]
    cuts = draw(st.sets(st.integers(1, len(messages)), max_size=4))
    names = draw(st.sets(st.text("abc", min_size=1, max_size=3), max_size=min(12, offsets[-1] + 1)))
    return messages, sorted(cuts), {name: draw(st.integers(1, 1 << 40)) for name in sorted(names)}


@given(backups())
@example(([Delivery(STREAM, 2, b"x", 1)], [], {"a": 1, "b": 2, "c": 3}))
@example(([Delivery(STREAM, 200_000, b"x", 1)], [], {"a": 7}))
def test_every_offset_and_every_id_is_what_it_was(shape: tuple[list[Delivery], list[int], dict[str, int]]) -> None:
    asyncio.run(comes_back(*shape))


async def comes_back(messages: list[Delivery], cuts: list[int], publishers: dict[str, int]) -> None:
    broker = MemoryBroker()
    with tempfile.TemporaryDirectory() as folder:
        files = FolderBlobs(Path(folder))
        backup = await written(files, messages, cuts, publishers)
        await Replay(files, broker, MemoryWriter(broker, STREAM), backup).run()
    found = [one async for deliveries in stored(broker, STREAM) for one in deliveries]
    assert [(one.offset, one.raw) for one in found] == [(one.offset, one.raw) for one in messages]
    assert {name: await broker.last_publishing_id(STREAM, name) for name in publishers} == publishers
    assert await broker.first_offset(STREAM) == messages[0].offset
    assert await broker.last_offset(STREAM) == messages[-1].offset


async def written(
    files: FolderBlobs, messages: list[Delivery], cuts: list[int], publishers: dict[str, int]
) -> StreamBackup:
    edges = sorted({0, *cuts, len(messages)})
    made = []
    for start, end in pairwise(edges):
        packed = segments.pack(STREAM, messages[start:end])
        await files.put(packed.segment.file, packed.data)
        made.append(packed.segment)
    last = messages[-1]
    return StreamBackup(
        stream=STREAM,
        segments=tuple(made),
        end=last.offset,
        tail_sha256=sha256_hex(last.raw),
        publishers=publishers,
    )
