"""What is erased is nowhere in the store any more, and everything else goes on."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner, Result

from labelstream.batches import WholeBatches
from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationErased
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.events.envelope import Envelope
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.values import sha256_hex
from labelstream.view import AnnotationView
from labelstream_cli.main import app
from labelstream_datasets.building.build import BuiltDataset, DatasetPlan, build
from labelstream_datasets.building.index import BatchIndex
from labelstream_datasets.layout.materialise import materialise
from labelstream_datasets.options import DatasetOptions
from labelstream_datasets.store import store

from .conftest import Reference
from .course import RATIOS, SCHEMA, push
from .drawing import Shot, shot
from .watching import Onlooker, predict

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]

SINGLE, KEEPER = shot("erase-single", "erase-single"), shot("erase-keeper", "erase-keeper")
FILM = [shot(f"erase-film-{frame}", "erase-film") for frame in range(2)]
GONE = [SINGLE, *FILM]


@dataclass(frozen=True)
class Workbench:
    """The data bucket of the reference stack, and what the streams make of it."""

    see: Onlooker
    blobs: S3Blobs

    async def dataset(self, cut: int, scratch: Path) -> BuiltDataset:
        """Build the dataset of a cut from what the streams say now."""
        view, index = AnnotationView(scratch / "view.sqlite"), BatchIndex()
        whole = WholeBatches(index.fold, self.blobs, Health())
        for stream, fold in ((ANNOTATION_EVENTS, view.apply), (BATCH_EVENTS, whole)):
            for delivery in await self.see.raw(stream):
                envelope = Envelope.from_message(decode(delivery.raw))
                assert envelope is not None
                fold(delivery.offset, envelope)
        await whole.fetch()
        recipe = index.recipe("default")
        assert recipe is not None
        options = DatasetOptions.model_validate({"ratios": RATIOS})
        plan = DatasetPlan("default", cut, recipe, ClassSchema(**SCHEMA), options)
        try:
            return await build(view, index, plan)
        finally:
            view.close()

    async def covered(self) -> int:
        """Wait until everything so far is augmented; return the last offset."""
        last = await self.see.end(ANNOTATION_EVENTS) - 1
        await self.see.heard(BatchAugmented, lambda batch: batch.input.last >= last)
        return last

    async def shown(self) -> set[str]:
        """Return the digests of all objects of the bucket, and of all members of its archives."""
        found: set[str] = set()
        async for info in self.blobs.list(""):
            data = (await self.blobs.get(info.key)).data
            found.add(sha256_hex(data))
            if info.key.endswith(".tar"):
                found |= await asyncio.to_thread(_members, data)
        return found

    async def objects_with(self, shots: Iterable[Shot]) -> list[str]:
        """Return the keys of the objects in which some bytes of the shots' files stand."""
        parts = [one.image[len(one.image) // 2 :][:48] for one in shots]
        found = [(info.key, (await self.blobs.get(info.key)).data) async for info in self.blobs.list("")]
        return [key for key, data in found if any(part in data for part in parts)]

    async def variants(self, shots: Iterable[Shot], start: int) -> set[str]:
        """Return the digests of what was made from the shots."""
        images = {sha256_hex(one.image) for one in shots}
        batches = await self.see.said(BatchAugmented, start)
        members = [member for batch in batches for member in batch.members if member.image in images]
        return {variant.sha256 for member in members for variant in member.variants}

    async def erase(self, *arguments: str) -> Result:
        """Type `labelstream erase …`."""
        command = ["erase", *arguments, "--dir", str(self.see.stack.layout.root)]
        return await asyncio.to_thread(CliRunner().invoke, app, command)


def _members(archive: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {sha256_hex(file.read()) for entry in tar if (file := tar.extractfile(entry)) is not None}


def _names(built: BuiltDataset) -> set[str]:
    return {row.name for row in built.manifest.rows()}


@pytest_asyncio.fixture
async def bench(see: Onlooker) -> AsyncIterator[Workbench]:
    blobs = S3Blobs(see.stack.store, see.stack.store.data_bucket, Health())
    yield Workbench(see, blobs)
    await blobs.close()


async def test_what_was_erased_is_nowhere_in_the_store_and_everything_else_goes_on(
    bench: Workbench, reference: Reference, tmp_path: Path
) -> None:
    see, batches = bench.see, await bench.see.end(BATCH_EVENTS)
    receipts = await push(see.stack, [one.message() for one in (SINGLE, KEEPER, *FILM)], name="erasing")
    assert [one.outcomes[0].outcome for one in receipts] == ["recorded"] * 4
    cut = await bench.covered()
    gone, kept = await bench.variants(GONE, batches), await bench.variants([KEEPER], batches)
    assert (len(gone) > 2 * len(GONE), len(kept) > 2) == (True, True)  # two variants may be the same picture
    assert gone | kept <= await bench.shown()
    assert len(await bench.objects_with(GONE)) >= 2 * len(GONE) - 2  # the originals, and an archive or more
    (tmp_path / "older").mkdir()
    older = await store(bench.blobs, await bench.dataset(cut, tmp_path / "older"))

    looked = await bench.erase(SINGLE.name, "--dry-run", "--json")
    assert looked.exit_code == 0, looked.output
    assert [one["id"] for one in json.loads(looked.stdout)["datasets"]] == [older.id]
    assert gone <= await bench.shown()

    one = await bench.erase(SINGLE.name, "--yes", "--json")
    film = await bench.erase("--medium", "erase-film", "--yes", "--json")
    for result, shots in ((one, [SINGLE]), (film, FILM)):
        assert result.exit_code == 0, result.output
        said: dict[str, Any] = json.loads(result.stdout)
        assert said["names"] == [each.name for each in shots]
        assert set(said["images"]) == {sha256_hex(each.image) for each in shots}
        assert said["rewritten_archives"] != []
        assert [each["id"] for each in said["datasets"]] == [older.id]
    erased = await see.said(AnnotationErased)
    assert {name for event in erased for name in event.names} >= {each.name for each in GONE}
    assert gone.isdisjoint(await bench.shown())
    assert await bench.objects_with(GONE) == []
    assert kept <= await bench.shown()

    end = await bench.covered()
    for at in (cut, end):
        (tmp_path / f"{at}").mkdir()
        built = await bench.dataset(at, tmp_path / f"{at}")
        assert _names(built).isdisjoint({each.name for each in GONE})
        assert KEEPER.name in _names(built)
        laid_out = await materialise(
            bench.blobs, Health(), (await store(bench.blobs, built)).description, tmp_path / f"{at}" / "d"
        )
        found = {sha256_hex(path.read_bytes()) for path in laid_out.glob("*/images/*")}
        assert found == {row.sha256 for row in built.manifest.rows()}
    with pytest.raises(Rejected, match=r"dataset\.erased"):
        await materialise(bench.blobs, Health(), older.description, tmp_path / "older" / "d")
    trained = reference.course.requested[0].dataset.description
    await materialise(bench.blobs, Health(), trained, tmp_path / "trained")
    assert predict(see.stack, KEEPER.image)["dataset"] == reference.course.requested[0].dataset.id


async def test_erasing_what_is_not_there_says_so(bench: Workbench) -> None:
    start = await bench.see.end("annotations")
    for arguments in ([SINGLE.name], ["--medium", "erase-film"], ["never-heard-of"]):
        again = await bench.erase(*arguments, "--yes")
        assert again.exit_code == 1
        assert "nothing to erase" in again.output
    assert await bench.see.end("annotations") == start
