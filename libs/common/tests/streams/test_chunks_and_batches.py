"""What is cut into frames on the way out, and out of chunks on the way in."""

from __future__ import annotations

import gzip
from types import SimpleNamespace

import pytest

from labelstream.streams.rabbitmq_chunk import messages
from labelstream.streams.rabbitmq_publisher import MOST_BYTES, MOST_MESSAGES, OVERHEAD, batches


def entry(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "big") + raw


def sub_batch(data: bytes, count: int, size: int, compression: int) -> bytes:
    head = bytes([0x80 | compression << 4]) + count.to_bytes(2, "big") + size.to_bytes(4, "big")
    return head + entry(data)


def chunk(*entries: bytes) -> SimpleNamespace:
    return SimpleNamespace(data=b"".join(entries), num_entries=len(entries), chunk_first_offset=100)


def test_a_chunk_yields_its_messages_with_their_offsets() -> None:
    assert list(messages(chunk(entry(b"a"), entry(b""), entry(b"c")))) == [(100, b"a"), (101, b""), (102, b"c")]


@pytest.mark.parametrize("compression", [0, 1])
def test_sub_batches_are_unpacked_in_place(compression: int) -> None:
    plain = entry(b"one") + entry(b"two")
    packed = gzip.compress(plain, mtime=0) if compression else plain
    found = list(messages(chunk(entry(b"a"), sub_batch(packed, 2, len(plain), compression), entry(b"z"))))

    assert found == [(100, b"a"), (101, b"one"), (102, b"two"), (103, b"z")]


@pytest.mark.parametrize(
    ("data", "size", "compression"),
    [
        (b"snappy?", 100, 2),
        (b"not gzip", 100, 1),
        (gzip.compress(bytes(1 << 20), mtime=0), 20, 1),
        (gzip.compress(entry(b"only one"), mtime=0), 12, 1),
        (gzip.compress(bytes(8), mtime=0), 1 << 31, 1),
        (b"\x00\x00\xff\xff..", 6, 0),
    ],
)
def test_a_sub_batch_that_can_not_be_read_keeps_its_offsets(data: bytes, size: int, compression: int) -> None:
    found = list(messages(chunk(sub_batch(data, 3, size, compression), entry(b"behind"))))

    assert found == [(100, data), (101, b""), (102, b""), (103, b"behind")]


def test_a_frame_holds_no_more_messages_than_it_may() -> None:
    cut = list(batches([(n, b"x") for n in range(1, 251)]))

    assert [len(batch) for batch in cut] == [MOST_MESSAGES, MOST_MESSAGES, 50]
    assert [n for batch in cut for n, _ in batch] == list(range(1, 251))


def test_a_frame_holds_no_more_bytes_than_it_may_unless_one_message_does() -> None:
    cut = list(batches([(n, bytes(size)) for n, size in enumerate([400_000, 400_000, 400_000, 2_000_000, 10], 1)]))

    assert [[n for n, _ in batch] for batch in cut] == [[1, 2], [3], [4], [5]]
    assert all(sum(len(raw) + OVERHEAD for _, raw in b) <= MOST_BYTES for b in cut if len(b) > 1)
