"""What every object store does, the double and the real one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from labelstream.blobs.ports import BlobChanged, BlobNotFound, Blobs, BlobTooLarge
from labelstream.blobs.probe import probe_conditional_writes


async def test_what_was_put_is_read_back(blobs: Blobs, prefix: str) -> None:
    etag = await blobs.put(prefix + "a", b"\x00\xffbytes")

    blob = await blobs.get(prefix + "a")

    assert (blob.data, blob.etag) == (b"\x00\xffbytes", etag)


async def test_a_second_put_writes_over_the_first(blobs: Blobs, prefix: str) -> None:
    first = await blobs.put(prefix + "a", b"old")
    second = await blobs.put(prefix + "a", b"new")

    assert (await blobs.get(prefix + "a")).data == b"new"
    assert first != second


async def test_an_empty_object_is_an_object(blobs: Blobs, prefix: str, tmp_path: Path) -> None:
    await blobs.put(prefix + "empty", b"")

    assert (await blobs.get(prefix + "empty")).data == b""
    await blobs.download(prefix + "empty", tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


async def test_a_missing_key_is_not_found(blobs: Blobs, prefix: str, tmp_path: Path) -> None:
    for read in (
        blobs.get(prefix + "none"),
        blobs.get_range(prefix + "none", 0, 1),
        blobs.download(prefix + "none", tmp_path / "none"),
    ):
        with pytest.raises(BlobNotFound):
            await read
    assert await blobs.head(prefix + "none") is None
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("key", ["../x", "./x", "x/../y", "..", "x" * 1100], ids=lambda key: key[:8])
async def test_under_a_key_that_no_object_can_have_nothing_is_found(blobs: Blobs, prefix: str, key: str) -> None:
    with pytest.raises(BlobNotFound):
        await blobs.get(prefix + key)
    assert await blobs.head(prefix + key) is None


async def test_an_object_larger_than_the_reader_would_take_is_refused_with_its_size(blobs: Blobs, prefix: str) -> None:
    await blobs.put(prefix + "a", b"12345")

    assert (await blobs.get(prefix + "a", most_bytes=5)).data == b"12345"
    with pytest.raises(BlobTooLarge) as refused:
        await blobs.get(prefix + "a", most_bytes=4)
    assert (refused.value.key, refused.value.size_bytes) == (prefix + "a", 5)


@pytest.mark.parametrize(
    "name", ["a b", "a%20b", "a+b?c#d&e=f", "größe.jpg", "日本", "a'b\"c", "~x:y*z|{w}", "tab\tbed"]
)
async def test_a_key_is_the_same_for_every_call(blobs: Blobs, prefix: str, name: str) -> None:
    etag = await blobs.put(prefix + name, name.encode())

    assert [info.key async for info in blobs.list(prefix)] == [prefix + name]
    assert (await blobs.get(prefix + name)).data == name.encode()
    assert await blobs.get_range(prefix + name, 0, 1) == name.encode()[:1]
    assert await blobs.create(prefix + name, b"") is None
    info = await blobs.head(prefix + name)
    assert info is not None
    assert info.etag == etag
    await blobs.delete(prefix + name)
    assert await blobs.head(prefix + name) is None


async def test_a_race_of_eight_to_create_has_exactly_one_winner(blobs: Blobs, prefix: str) -> None:
    etags = await asyncio.gather(*(blobs.create(prefix + "race", b"%d" % n) for n in range(8)))

    winners = [n for n, etag in enumerate(etags) if etag is not None]
    blob = await blobs.get(prefix + "race")
    assert len(winners) == 1
    assert (blob.data, blob.etag) == (b"%d" % winners[0], etags[winners[0]])


async def test_only_the_object_that_was_seen_is_replaced(blobs: Blobs, prefix: str) -> None:
    seen = await blobs.put(prefix + "a", b"1")
    newer = await blobs.replace(prefix + "a", b"2", seen)

    with pytest.raises(BlobChanged):
        await blobs.replace(prefix + "a", b"late", seen)

    blob = await blobs.get(prefix + "a")
    assert (blob.data, blob.etag) == (b"2", newer)


async def test_a_race_of_eight_to_replace_has_exactly_one_winner(blobs: Blobs, prefix: str) -> None:
    seen = await blobs.put(prefix + "a", b"1")

    outcomes = await asyncio.gather(
        *(blobs.replace(prefix + "a", b"by %d" % n, seen) for n in range(8)), return_exceptions=True
    )

    assert [isinstance(outcome, BlobChanged) for outcome in outcomes].count(False) == 1
    winner = next(n for n, outcome in enumerate(outcomes) if isinstance(outcome, str))
    assert (await blobs.get(prefix + "a")).data == b"by %d" % winner


async def test_what_is_gone_cannot_be_replaced(blobs: Blobs, prefix: str) -> None:
    seen = await blobs.put(prefix + "a", b"1")
    await blobs.delete(prefix + "a")

    with pytest.raises(BlobChanged):
        await blobs.replace(prefix + "a", b"2", seen)
    assert await blobs.head(prefix + "a") is None


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, 4, b"0123"), (3, 7, b"3456"), (8, 99, b"89"), (10, 12, b""), (4, 4, b"")]
)
async def test_a_range_is_cut_like_a_slice(blobs: Blobs, prefix: str, start: int, end: int, expected: bytes) -> None:
    await blobs.put(prefix + "digits", b"0123456789")

    assert await blobs.get_range(prefix + "digits", start, end) == expected


async def test_a_description_tells_size_etag_and_the_stores_times(blobs: Blobs, prefix: str) -> None:
    etag = await blobs.put(prefix + "a", b"12345")

    info = await blobs.head(prefix + "a")

    assert info is not None
    assert (info.key, info.size_bytes, info.etag) == (prefix + "a", 5, etag)
    assert timedelta(seconds=-1) <= info.store_time - info.modified  # the header cuts to whole seconds


async def test_a_listing_is_in_key_order_over_several_pages(blobs: Blobs, prefix: str) -> None:
    names = [f"n/{n:02d}" for n in range(8)]
    for name in reversed(names):
        await blobs.put(prefix + name, b"x")
    await blobs.put(prefix + "other", b"x")

    listed = [info async for info in blobs.list(prefix + "n/")]

    assert [info.key for info in listed] == [prefix + name for name in names]
    assert {info.size_bytes for info in listed} == {1}
    assert all(info.store_time >= info.modified - timedelta(seconds=1) for info in listed)


async def test_a_listing_over_several_folders_and_pages_has_each_object_once(blobs: Blobs, prefix: str) -> None:
    names = ["a-b", "a.b", "a/1", "a/2", "a0", "b"]
    for name in names:
        await blobs.put(prefix + name, b"x")

    listed = [info.key async for info in blobs.list(prefix)]
    assert sorted(listed) == [prefix + name for name in names]


async def test_a_prefix_without_objects_lists_nothing(blobs: Blobs, prefix: str) -> None:
    assert [info async for info in blobs.list(prefix)] == []


async def test_deleting_twice_does_no_harm(blobs: Blobs, prefix: str) -> None:
    await blobs.put(prefix + "a", b"1")

    await blobs.delete(prefix + "a")
    await blobs.delete(prefix + "a")

    assert await blobs.head(prefix + "a") is None


async def test_a_file_of_several_parts_comes_back_whole(blobs: Blobs, prefix: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * (5 << 14)  # 20 MiB: more than one part
    (tmp_path / "up").write_bytes(content)

    await blobs.upload(tmp_path / "up", prefix + "big")
    await blobs.download(prefix + "big", tmp_path / "down")

    assert (tmp_path / "down").read_bytes() == content
    assert names_in(tmp_path) == {"up", "down"}


async def test_a_download_takes_the_place_of_an_older_file(blobs: Blobs, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"an older and longer one")
    await blobs.put(prefix + "a", b"new")

    await blobs.download(prefix + "a", tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == b"new"


async def test_conditional_writes_pass_the_probe_which_leaves_nothing(blobs: Blobs, prefix: str) -> None:
    await probe_conditional_writes(blobs, prefix)

    assert [info async for info in blobs.list(prefix)] == []


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
