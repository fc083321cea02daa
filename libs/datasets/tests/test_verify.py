"""A dataset is verified against the streams and the store, and what is wrong is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.envelope import Envelope
from labelstream.values import sha256_hex
from labelstream_datasets.checking.verify import Rebuilt, Verdict, verify
from labelstream_datasets.description import DESCRIPTION, MANIFEST, DatasetDescription
from labelstream_datasets.loading import load_description
from labelstream_datasets.store import BuiltDataset, store

COUNT = 6


@dataclass
class Bench:
    """A stored dataset of six images in two archives, and what it was made from."""

    scribe: Any
    archivist: Any
    build_now: Callable[..., BuiltDataset]
    blobs: MemoryBlobs
    scratch: Path
    batches: list[Envelope]
    cut: int
    description: DatasetDescription

    @property
    def archives(self) -> list[str]:
        return [batch.event.archive.key for batch in self.batches if batch.event.archive]  # type: ignore[attr-defined]

    def rebuilt(self) -> Rebuilt:
        return Rebuilt(self.build_now(self.scribe, self.batches, cut=self.cut), known=self.known)

    def known(self, name: str) -> bool:
        return self.scribe.view.entry("default", name) is not None

    async def verify(self, *, deep: bool = False, rebuilt: Rebuilt | None = None) -> Verdict:
        return await verify(self.blobs, self.description, rebuilt or self.rebuilt(), self.scratch, deep=deep)


@pytest.fixture
async def bench(scribe: Any, archivist: Any, build_now: Any, blobs: MemoryBlobs, tmp_path: Path) -> Bench:
    half = 0
    for n in range(COUNT):
        scribe.record(f"n{n}", n, f"m{n}", split=["train", "val", "test"][n % 3])
        half = scribe.offset if n == COUNT // 2 - 1 else half
    batches = await archivist.answer(scribe, [half])
    ref = await store(blobs, build_now(scribe, batches))
    description = await load_description(blobs, ref.description)
    return Bench(scribe, archivist, build_now, blobs, tmp_path, batches, scribe.offset, description)


def found(verdict: Verdict) -> list[tuple[str, list[str]]]:
    return [(one.kind, [lost.name for lost in one.images]) for one in verdict.findings]


@pytest.mark.parametrize("deep", [False, True], ids=["looked up", "read"])
async def test_an_untouched_dataset_is_sound(bench: Bench, deep: bool) -> None:
    verdict = await bench.verify(deep=deep)
    assert verdict.sound
    assert (verdict.id, verdict.rebuilt_id) == (bench.description.id, bench.description.id)
    assert (verdict.archives, verdict.rewritten, verdict.deep) == (2, 0, deep)
    assert verdict.archive_bytes == sum([len((await bench.blobs.get(key)).data) for key in bench.archives])


async def test_later_annotations_do_not_matter(bench: Bench) -> None:
    bench.scribe.record("n9", 9, "m9")
    bench.scribe.say("n0", "deleted")
    assert (await bench.verify()).sound


async def test_an_erased_annotation_is_named_once(bench: Bench) -> None:
    bench.scribe.erase("n1", 1)
    bench.batches.append(await bench.archivist.erased(bench.cut + 1, bench.scribe.offset, [1], bench.batches))
    verdict = await bench.verify()
    assert found(verdict) == [("erased", ["n1"])]
    assert not verdict.findings[0].still_stored
    assert verdict.rewritten == 1
    assert verdict.rebuilt_id not in (None, bench.description.id)


async def test_an_erasure_that_archives_do_not_know_yet_is_named_by_the_streams(bench: Bench) -> None:
    bench.scribe.erase("n1", 1)
    verdict = await bench.verify()
    assert found(verdict) == [("erased", ["n1"])]
    assert verdict.findings[0].where == "annotation-events"
    assert verdict.findings[0].still_stored
    assert verdict.findings[0].reason.endswith(f"the samples are still in {bench.archives[0]}")


async def test_an_archive_of_which_nothing_survived_is_erased_whole(bench: Bench) -> None:
    for n in range(3):
        bench.scribe.erase(f"n{n}", n)
    bench.batches.append(await bench.archivist.erased(bench.cut + 1, bench.scribe.offset, range(3), bench.batches))
    assert found(await bench.verify()) == [("erased", ["n0", "n1", "n2"])]


async def test_what_stood_beside_something_erased_is_followed_to_where_it_lies_now(bench: Bench) -> None:
    """An image that is not of this dataset was erased from one of its archives."""
    for name in (MANIFEST, DESCRIPTION):
        await bench.blobs.delete(keys.dataset("default", bench.description.id, name))
    bench.scribe.record("other", 40, "m40")
    batches = await bench.archivist.answer(bench.scribe)  # all in one archive
    built = bench.build_now(bench.scribe, batches, cut=bench.cut)
    description = await load_description(bench.blobs, (await store(bench.blobs, built)).description)
    end = bench.scribe.offset
    bench.scribe.erase("other", 40)
    await bench.archivist.erased(end + 1, bench.scribe.offset, [40], batches)
    verdict = await verify(bench.blobs, description, Rebuilt(built), bench.scratch)
    assert verdict.sound
    assert verdict.rewritten == 1


async def test_a_missing_archive_is_named_with_what_was_in_it(bench: Bench) -> None:
    await bench.blobs.delete(bench.archives[1])
    verdict = await bench.verify()
    assert found(verdict) == [("missing", ["n3", "n4", "n5"])]
    assert verdict.findings[0].where == bench.archives[1]


async def test_an_archive_that_was_collected_is_told_from_one_that_is_missing(bench: Bench) -> None:
    await bench.blobs.delete(bench.archives[0])
    await bench.blobs.put(keys.collected(bench.archives[0]), b"{}")
    assert found(await bench.verify()) == [("collected", ["n0", "n1", "n2"])]


async def test_an_archive_of_another_size_is_changed(bench: Bench) -> None:
    await bench.blobs.put(bench.archives[0], b"short")
    assert found(await bench.verify()) == [("changed", ["n0", "n1", "n2"])]


async def test_an_archive_with_other_bytes_of_the_same_size_is_found_by_reading_it(bench: Bench) -> None:
    data = bytearray((await bench.blobs.get(bench.archives[0])).data)
    data[600] ^= 1
    await bench.blobs.put(bench.archives[0], bytes(data))
    assert (await bench.verify()).sound
    assert found(await bench.verify(deep=True)) == [("changed", ["n0", "n1", "n2"])]


async def test_a_manifest_that_was_changed_is_named(bench: Bench) -> None:
    await bench.blobs.put(keys.dataset("default", bench.description.id, MANIFEST), b"PAR1")
    verdict = await bench.verify()
    assert found(verdict) == [("changed", [])]
    assert verdict.findings[0].where.endswith(MANIFEST)


async def test_a_manifest_of_another_dataset_is_noticed_by_its_content(bench: Bench) -> None:
    other = bench.build_now(bench.scribe, bench.batches, cut=bench.cut - 1)
    ref = await store(bench.blobs, other)
    stored = await load_description(bench.blobs, ref.description)
    swapped = bench.description.model_copy(update={"manifest": stored.manifest})
    verdict = await verify(bench.blobs, swapped, bench.rebuilt(), bench.scratch)
    assert [one.kind for one in verdict.findings] == ["changed"]
    assert other.description.id in verdict.findings[0].reason


async def test_streams_that_give_other_labels_are_named(bench: Bench) -> None:
    rows = [
        row._replace(labels=sha256_hex(b"other labels")) if row.name == "n3" else row
        for row in bench.rebuilt().built.manifest.rows()  # type: ignore[union-attr]
    ]
    manifest = type(bench.rebuilt().built.manifest).of(rows)  # type: ignore[union-attr]
    description = bench.description.model_copy(update={"id": manifest.id})
    verdict = await bench.verify(rebuilt=Rebuilt(BuiltDataset(description, manifest)))
    assert found(verdict) == [("different", ["n3"])]


async def test_a_dataset_that_can_not_be_built_again_is_not_sound(bench: Bench) -> None:
    verdict = await bench.verify(rebuilt=Rebuilt(None, "the streams do not reach that far"))
    assert (verdict.sound, verdict.rebuilt_id) == (False, None)
    assert found(verdict) == [("not_built", [])]


async def test_progress_is_told_archive_by_archive(bench: Bench) -> None:
    heard: list[tuple[int, int]] = []
    await verify(
        bench.blobs,
        bench.description,
        bench.rebuilt(),
        bench.scratch,
        told=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(1, 2), (2, 2)]
