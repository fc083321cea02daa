from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.classes import ClassSchema
from labelstream.errors import Unavailable
from labelstream.events.annotation import ImageRef
from labelstream.events.batch import Rewritten
from labelstream.labels import Box, labels_digest
from labelstream.values import FileRef, Position, sha256_hex
from labelstream_datasets.archives.contents import ArchiveWriter, without
from labelstream_datasets.archives.erased import Erasure
from labelstream_datasets.checking.duplicates import near_duplicates
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.pictures import colour_of
from labelstream_datasets.statistics import Original, Statistics, measure
from labelstream_datasets.statistics.members import WINDOW, fetch
from labelstream_datasets.statistics.page import page
from labelstream_datasets.statistics.picking import rows_of
from labelstream_datasets.statistics.sheet import TILE, contact_sheet, thumbnails

SCHEMA = ClassSchema(name="x", classes=("car", "truck", "person", "never"))
PER_ARCHIVE, VARIANTS = 5, 3


@dataclass
class CountingBlobs(MemoryBlobs):
    """Notes which ranges are read."""

    ranges: list[tuple[str, int, int]] = field(default_factory=list)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        self.ranges.append((key, start, end))
        return await super().get_range(key, start, end)


@dataclass
class World:
    """A dataset of grey images, in archives of a few images each."""

    blobs: CountingBlobs
    manifest: Manifest
    description: DatasetDescription
    statistics: Statistics


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((90, 120, 3), 40 + number, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
async def world() -> World:
    blobs, rows, originals = CountingBlobs(), [], []
    for archive in range(6):
        writer, images = ArchiveWriter("a" * 64), {}
        for number in range(archive * PER_ARCHIVE, (archive + 1) * PER_ARCHIVE):
            encoded = jpeg(number)
            shapes = (Box(class_id=number % 3, x=0.5, y=0.5, w=0.5, h=0.5),)
            ref = ImageRef(key="i.jpg", sha256=sha256_hex(encoded), size_bytes=9, format="jpeg", width=120, height=90)
            writer.add(ref, labels_digest(shapes), [(encoded, shapes)] * (VARIANTS + 1), "0" * 16)
            images[ref.sha256] = number, shapes, ref
        contents, data = writer.finish()
        assert data is not None
        key = f"default/archives/{archive}.tar"
        await blobs.put(key, data)
        for made in contents.made:
            number, shapes, ref = images[made.image]
            split = "test" if number % 5 == 0 else "train"
            for v in made.variants if split == "train" else made.variants[:1]:
                where = key, sha256_hex(data), len(data), v.image_path, v.boxes, v.sha256, made.phash
                names = f"n{number}", f"clip {number // 2}"
                rows.append(Row(made.image, made.labels, "a" * 64, v.variant, split, *names, *where))
            originals.append(Original(next(row for row in rows if row.image == made.image), shapes, ref))
    manifest = Manifest.of(rows)
    description = DatasetDescription(
        id=manifest.id,
        project="default",
        cut=Position(stream="annotation-events", offset=9),
        class_schema=SCHEMA,
        recipe="a" * 64,
        counts={},
    )
    return World(blobs, manifest, description, measure(description, manifest, originals))


async def test_the_sheet_shows_every_class_and_several_sources_from_few_archives(world: World) -> None:
    sheet = await contact_sheet(world.blobs, world.description, world.manifest, world.statistics, 6, most_archives=2)
    assert len(sheet.strips) == 6
    assert {name for strip in sheet.strips for _, name in strip.classes} == {"car", "truck", "person"}
    assert len({strip.medium for strip in sheet.strips}) > 3
    assert len({key for key, _, _ in world.blobs.ranges}) <= 2
    assert sheet.left_out == ()
    again = await contact_sheet(world.blobs, world.description, world.manifest, world.statistics, 6, most_archives=2)
    assert again == sheet


async def test_boxes_are_drawn_where_the_labels_say_in_the_colour_of_their_class(world: World) -> None:
    sheet = await contact_sheet(world.blobs, world.description, world.manifest, world.statistics, 1)
    strip = sheet.strips[0]
    assert [tile.variant for tile in strip.tiles] == [0, 1, 2, 3]
    picture = np.asarray(Image.open(io.BytesIO(strip.tiles[0].jpeg)).convert("RGB"), np.int64)
    assert picture.shape == (90, 120, 3)
    edge, inside = picture[67, 40:80].mean(axis=0), picture[50, 60]  # the box ends at 0.75 of the height
    assert np.abs(edge - colour_of(strip.classes[0][0])).max() < 70
    assert inside.max() - inside.min() < 20  # grey


async def test_boxes_follow_the_label_rules_of_the_dataset(world: World) -> None:
    only = world.description.model_copy(
        update={
            "classes": ("truck",),
            "project_schema": SCHEMA,
            "class_schema": ClassSchema(name="x", classes=("truck",)),
        }
    )
    sheet = await contact_sheet(world.blobs, only, world.manifest, world.statistics, 6)
    shown = {strip.name: strip.classes for strip in sheet.strips}
    assert {classes for name, classes in shown.items() if int(name[1:]) % 3 == 1} == {((0, "truck"),)}
    assert {classes for name, classes in shown.items() if int(name[1:]) % 3 != 1} == {()}


async def test_the_sheet_is_a_picture_and_part_of_the_page(world: World) -> None:
    sheet = await contact_sheet(world.blobs, world.description, world.manifest, world.statistics, 3)
    picture = Image.open(io.BytesIO(sheet.jpeg()))
    assert picture.format == "JPEG"
    assert picture.width > (VARIANTS + 1) * TILE
    html = page(world.statistics, sheet)
    assert html.count("data:image/jpeg;base64,") == 3 * (VARIANTS + 1)


async def test_pairs_that_look_alike_are_pictured(world: World) -> None:
    duplicates = near_duplicates(world.manifest)
    thumbs = await thumbnails(world.blobs, world.description, world.manifest, duplicates)
    pair = duplicates.pairs[0]
    assert set(thumbs) == {pair.first.image, pair.second.image}
    assert page(world.statistics, None, thumbs).count("data:image/jpeg;base64,") == 2
    none = await thumbnails(world.blobs, world.description, world.manifest, duplicates, most_archives=0)
    assert none == {}


async def test_an_archive_is_read_up_to_the_last_wanted_member_in_a_few_ranges(world: World) -> None:
    rows = list(world.manifest.rows())
    large = ArchiveWriter("a" * 64)
    padding = bytes(WINDOW)
    for number in range(4):
        encoded = jpeg(number) + (padding if number else b"")
        ref = ImageRef(key="i.jpg", sha256=f"{number}" * 64, size_bytes=9, format="jpeg", width=1, height=1)
        large.add(ref, "b" * 64, [(encoded, ())], None)
    contents, data = large.finish()
    assert data is not None
    await world.blobs.put("large.tar", data)
    second = contents.made[1].variants[0]
    row = rows[0]._replace(archive="large.tar", archive_bytes=len(data), path=second.image_path, sha256=second.sha256)
    fetched = await fetch(world.blobs, [row])
    assert [sha256_hex(sample.image) for sample in fetched.samples] == [second.sha256]
    assert len(world.blobs.ranges) <= 3
    assert max(end for _, _, end in world.blobs.ranges) < len(data) * 0.8


async def test_what_is_gone_or_changed_is_left_out_and_told_of(world: World) -> None:
    rows = list(world.manifest.rows())
    gone = {row.archive for row in rows if row.archive.endswith(("0.tar", "1.tar"))}
    await world.blobs.delete("default/archives/0.tar")
    await world.blobs.put("default/archives/1.tar", b"x" * 5000)
    await world.blobs.put("default/archives/2.tar", (await world.blobs.get("default/archives/3.tar")).data)
    fetched = await fetch(world.blobs, rows)
    assert {sample.row.archive for sample in fetched.samples} == {f"default/archives/{n}.tar" for n in (3, 4, 5)}
    assert "the store has no default/archives/0.tar" in fetched.left_out[0]
    assert "1.tar is damaged" in fetched.left_out[1]
    assert "is not in default/archives/2.tar as it was stored" in fetched.left_out[2]
    assert len(gone) == 2


async def test_archives_that_an_erasure_rewrote_are_followed(world: World) -> None:
    rows = list(world.manifest.rows())
    moved, emptied = "default/archives/0.tar", "default/archives/1.tar"
    before = (await world.blobs.get(moved)).data
    erased = next(row.image for row in rows if row.archive == moved)
    after = without(before, Erasure(frozenset([erased])))
    assert after is not None
    by = FileRef.of("default/archives/rewritten.tar", after)
    await world.blobs.put(by.key, after)
    for archive, successor in ((moved, by), (emptied, None)):
        note = Rewritten(archive=archive, by=successor)
        await world.blobs.put(keys.forwarding(archive), note.model_dump_json().encode())
        await world.blobs.delete(archive)
    fetched = await fetch(world.blobs, [row for row in rows if row.archive in {moved, emptied}])
    assert {sample.row for sample in fetched.samples} == {
        row for row in rows if row.archive == moved and row.image != erased
    }
    assert any("was erased" in line and emptied in line for line in fetched.left_out)
    assert len(fetched.left_out) == 1 + sum(row.image == erased for row in rows)


async def test_an_image_that_can_not_be_drawn_is_left_out_and_told_of(world: World) -> None:
    row = next(row for row in world.manifest.rows() if row.archive == "default/archives/0.tar")
    writer = ArchiveWriter("a" * 64)
    ref = ImageRef(key="i.jpg", sha256=row.image, size_bytes=9, format="jpeg", width=1, height=1)
    writer.add(ref, row.labels, [(b"no picture", ())], None)
    contents, data = writer.finish()
    assert data is not None
    await world.blobs.put("odd.tar", data)
    stored = contents.made[0].variants[0]
    odd = row._replace(archive="odd.tar", archive_bytes=len(data), path=stored.image_path, sha256=stored.sha256)
    others = [other for other in world.manifest.rows() if other.image != row.image]
    manifest = Manifest.of([odd._replace(variant=0), *others])
    sheet = await contact_sheet(world.blobs, world.description, manifest, world.statistics, 30, most_archives=9)
    assert len(sheet.left_out) == 1
    assert f"{stored.image_path} can't be drawn" in sheet.left_out[0]
    assert sheet.strips


async def test_a_store_that_is_away_is_not_taken_for_lost_images(world: World) -> None:
    world.blobs.away = "down"
    with pytest.raises(Unavailable):
        await contact_sheet(world.blobs, world.description, world.manifest, world.statistics)


async def test_the_rows_of_some_images_are_found(world: World) -> None:
    image = next(world.manifest.rows()).image
    expected = [row for row in world.manifest.rows() if row.image == image]
    assert list(rows_of(world.manifest, [image])) == expected
    assert list(rows_of(world.manifest, [])) == []
