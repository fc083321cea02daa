"""What was erased leaves the archives, whenever it comes and whatever dies meanwhile."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from augmenter.domain import Batch, Limits
from augmenter.done import Done
from augmenter.erasing import Eraser
from augmenter.recipe import parse_recipe
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.annotation import Outcome
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.batch import Rewritten, Stayed
from labelstream.labels import Box
from labelstream.values import FileRef, sha256_hex
from labelstream_datasets.archives.contents import contents_of, without
from labelstream_datasets.archives.erased import Erasure

OTHER = parse_recipe("name: other\nvariants: [{count: 2}]\n", "other")
FOREIGN = b"no archive of ours"


def tars(world: Any, project: str = "default") -> dict[str, bytes]:
    """Return every archive of the store."""
    objects = world.blobs._objects.items()
    return {key: data for key, (data, *_) in objects if key.startswith(f"{project}/archives/") and key.endswith(".tar")}


def shown(world: Any) -> set[str]:
    """Return the digest of every image that lies in the store, alone or in an archive."""
    found = {sha256_hex(data) for data, *_ in world.blobs._objects.values()}
    for archive in tars(world).values():
        if archive == FOREIGN:
            continue
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            found |= {sha256_hex(tar.extractfile(entry).read()) for entry in tar}  # type: ignore[union-attr]
    return found


def variants_of(world: Any, *drawn: Any) -> set[str]:
    """Return the digests of what was ever made from these images."""
    images = {one.image.sha256 for one in drawn}
    members = [member for batch in world.batches() for member in batch.members if member.image in images]
    return {variant.sha256 for member in members for variant in member.variants}


def done(world: Any, recipe: str) -> Done:
    fold = Done("default", recipe)
    for offset, envelope in enumerate(world.envelopes()):
        fold.fold(offset, envelope)
    return fold


def content(drawn: Any) -> tuple[str, str]:
    return drawn.image.sha256, drawn.annotation().labels


async def test_an_erased_image_leaves_its_archive_and_the_others_keep_their_bytes(world: Any, scene: Any) -> None:
    async with world.running(Limits(count=3)):
        for n in range(3):
            await world.record(f"n{n}", scene(n))
        await world.covered()
        (before,) = tars(world)
        gone, stays = variants_of(world, scene(1)), variants_of(world, scene(0), scene(2))
        assert gone | stays <= shown(world)
        await world.erase("n1", images=[scene(1)])
        await world.covered()
    assert gone.isdisjoint(shown(world))
    assert stays <= shown(world)
    answer = world.batches()[-1]
    (after,) = tars(world)
    by = FileRef.of(after, tars(world)[after])
    assert (answer.erased_images, answer.rewritten) == ((scene(1).image.sha256,), (Rewritten(archive=before, by=by),))
    assert answer.input.last == await world.broker.last_offset(ANNOTATION_EVENTS)
    assert world.renderer.rendered == 3
    note = await world.blobs.get(keys.forwarding(before))
    assert Rewritten.model_validate_json(note.data) == answer.rewritten[0]


async def test_an_archive_that_held_nothing_else_goes_and_nothing_takes_its_place(world: Any, scene: Any) -> None:
    async with world.running(Limits(count=1)):
        await world.record("a", scene(1))
        await world.covered()
        await world.erase("a", images=[scene(1)])
        await world.covered()
    assert tars(world) == {}
    assert [one.by for one in world.batches()[-1].rewritten] == [None]


async def test_what_waits_in_the_batch_when_it_is_erased_is_left_out(world: Any, scene: Any) -> None:
    for n in range(3):
        await world.record(f"n{n}", scene(n))
    await world.erase("n1", images=[scene(1)])
    await world.record("later", scene(7))
    async with world.running(Limits(age_s=0.05)):
        await world.covered()
    first, second = world.batches()
    assert [member.name for member in first.members] == ["n0", "n2"]
    assert [(one.name, one.reason.split(":")[0]) for one in first.left_out] == [("n1", "erased")]
    assert [member.name for member in second.members] == ["later"]


async def test_an_image_that_another_annotation_shows_stays(world: Any, scene: Any) -> None:
    async with world.running(Limits(count=1)):
        for name in ("a", "twin"):
            await world.record(name, scene(1))
        await world.covered()
        archives = tars(world)
        await world.erase("a", kept=[scene(1)])
        await world.record("b", scene(2))
        await world.covered()
    assert archives.items() <= tars(world).items()
    assert all(batch.rewritten == () for batch in world.batches())


async def test_labels_that_only_an_erased_annotation_said_leave_the_archives_of_an_image_that_stays(
    world: Any, scene: Any
) -> None:
    first, other = scene(1), replace(scene(1), shapes=(Box.from_corners(2, 0.1, 0.1, 0.3, 0.4),))
    async with world.running(Limits(count=2)):
        await world.record("a", other)
        await world.record("twin", first)
        await world.covered()
        await world.erase("a", kept=[first])
        await world.covered()
        (archive,) = tars(world).values()
        assert [(made.image, made.labels) for made in contents_of(archive).made] == [content(first)]
        answer = world.batches()[-1]
        assert answer.stayed == (Stayed(image=first.image.sha256, labels=(content(first)[1],)),)
        assert len(answer.rewritten) == 1
        knows = done(world, world.recipe.digest)
        assert (knows(content(first)), knows(content(other))) == (True, False)
        await world.record("again", other)  # it is there again, so it is augmented again
        await world.covered()
    assert done(world, world.recipe.digest)(content(other))


async def test_labels_that_were_erased_before_their_batch_closed_are_left_out(world: Any, scene: Any) -> None:
    first, other = scene(1), replace(scene(1), shapes=(Box.from_corners(2, 0.1, 0.1, 0.3, 0.4),))
    await world.record("a", other)
    await world.record("twin", first)
    await world.erase("a", kept=[first])
    async with world.running(Limits(count=9)):
        await world.covered()
    assert [member.name for batch in world.batches() for member in batch.members] == ["twin"]
    assert [one.name for batch in world.batches() for one in batch.left_out] == ["a"]


async def test_archives_of_every_recipe_are_concerned_and_of_no_other_project(world: Any, scene: Any) -> None:
    for name, number in (("a", 1), ("b", 2)):
        await world.record(name, scene(number))
    async with world.running():
        await world.covered()
    async with world.running(recipe=OTHER):
        await world.until(lambda: world.batches()[-1].recipe == OTHER.digest)
    (archive, *_) = tars(world).values()
    elsewhere = keys.archive("elsewhere", "0" * 64)
    await world.blobs.put(elsewhere, archive)
    gone, stays = variants_of(world, scene(1)), variants_of(world, scene(2))
    await world.erase("a", images=[scene(1)])
    async with world.running(recipe=OTHER):
        await world.covered()
    assert len(tars(world)) == len(world.batches()[-1].rewritten) == 2
    assert gone.isdisjoint(shown(world))
    assert stays <= shown(world)
    assert tars(world, "elsewhere") == {elsewhere: archive}
    for recipe in (world.recipe, OTHER):
        knows = done(world, recipe.digest)
        assert (knows(content(scene(1))), knows(content(scene(2)))) == (False, True)


async def test_an_archive_that_no_event_names_is_looked_into_as_well(world: Any, scene: Any) -> None:
    async with world.running():
        for n in range(2):
            await world.record(f"n{n}", scene(n))
        await world.covered()
        (archive,) = tars(world).values()
        gone = variants_of(world, scene(0))
        left_behind = keys.archive("default", "f" * 64)
        await world.blobs.put(left_behind, archive)
        await world.blobs.put(keys.archive("default", "e" * 64), FOREIGN)
        await world.erase("n0", images=[scene(0)])
        await world.covered()
        assert gone.isdisjoint(shown(world))
        assert keys.archive("default", "e" * 64) in tars(world)
        assert [one.archive for one in world.batches()[-1].rewritten] != [left_behind]
        kept = variants_of(world, scene(1))
        await world.erase("n1", images=[scene(1)])
        await world.covered()
    assert kept.isdisjoint(shown(world))


async def test_what_is_recorded_again_after_its_erasure_is_augmented_again(world: Any, scene: Any) -> None:
    async with world.running(Limits(count=2, age_s=0.05)):
        await world.record("a", scene(1))
        await world.record("b", scene(2))
        await world.covered()
        await world.erase("a", images=[scene(1)])
        await world.record("a", scene(1))
        await world.record("again", scene(2))
        await world.covered()
    assert world.names() == ["a", "b", "a"]
    assert variants_of(world, scene(1)) <= shown(world)


async def test_a_new_recipe_never_makes_what_was_erased_and_leaves_what_came_after(world: Any, scene: Any) -> None:
    await world.record("a", scene(1))
    await world.record("b", scene(2), validated=False)
    await world.say(Outcome(name="b", outcome="validated", validated=True, revision=2))
    await world.record("c", scene(3))
    async with world.running():
        await world.covered()
    await world.erase("a", "b", images=[scene(1), scene(2)])
    async with world.running():
        await world.record("a", scene(1))
        await world.covered()
    before = tars(world)
    async with world.running(Limits(age_s=0.05), recipe=OTHER):
        await world.until(lambda: world.batches()[-1].recipe == OTHER.digest)
        await world.covered()
    made = [batch for batch in world.batches() if batch.recipe == OTHER.digest]
    assert [(m.name, m.offset) for batch in made for m in batch.members] == [("c", 3), ("a", 5)]
    assert [(one.name, one.reason.split(":")[0]) for batch in made for one in batch.left_out] == [("a", "erased")]
    assert before.items() <= tars(world).items()


async def test_an_archive_that_somebody_else_rewrote_is_followed_to_where_it_lies(world: Any, scene: Any) -> None:
    async with world.running(Limits(count=3)):
        for n in range(3):
            await world.record(f"n{n}", scene(n))
        await world.covered()
    eraser, knows = Eraser(world.store), done(world, world.recipe.digest)
    last = (await world.broker.last_offset(ANNOTATION_EVENTS)) + 1
    (first,) = tars(world)
    for number in (0, 1):
        await world.blobs.delete(scene(number).image.key)
    earlier, later = (
        Batch("default", ANNOTATION_EVENTS, at, at, erasure=Erasure(frozenset([scene(number).image.sha256])))
        for number, at in ((0, last), (1, last + 1))
    )
    assert await eraser.erase(earlier, Done("default", world.recipe.digest)) == ()  # it had not heard of it
    rewritten = await eraser.erase(later, knows)
    ((key, archive),) = tars(world).items()
    assert rewritten == (Rewritten(archive=first, by=FileRef.of(key, archive)),)
    assert variants_of(world, scene(0), scene(1)).isdisjoint(shown(world))
    assert variants_of(world, scene(2)) <= shown(world)


async def test_a_known_archive_that_nobody_can_read_goes(world: Any, scene: Any) -> None:
    async with world.running(Limits(count=1)):
        await world.record("a", scene(1))
        await world.covered()
        (key,) = tars(world)
        await world.blobs.put(key, b"torn")
        await world.erase("a", images=[scene(1)])
        await world.covered()
    assert tars(world) == {}
    assert world.batches()[-1].rewritten == (Rewritten(archive=key),)


class Died(Exception):
    pass


class Dying(MemoryBlobs):
    """A store at whose n-th change the process dies: before the change is made, or after."""

    changes_left: int = 1 << 30
    after: bool = False

    async def put(self, key: str, data: bytes) -> str:
        self._count(done=False)
        etag = await super().put(key, data)
        self._count(done=True)
        return etag

    async def create(self, key: str, data: bytes) -> str | None:
        self._count(done=False)
        etag = await super().create(key, data)
        self._count(done=True)
        return etag

    async def delete(self, key: str) -> None:
        self._count(done=False)
        await super().delete(key)
        self._count(done=True)

    def _count(self, *, done: bool) -> None:
        self.changes_left -= done == self.after
        if self.changes_left < 0 and done == self.after:
            raise Died


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", range(8))
async def test_whatever_dies_in_between_the_end_is_the_same(world: Any, scene: Any, change: int, after: bool) -> None:
    world.blobs = Dying()
    for n in range(4):
        await world.record(f"n{n}", scene(n))
    async with world.running(Limits(count=2)):
        await world.until(lambda: len(world.batches()) == 2)
    gone, stays = variants_of(world, scene(0), scene(3)), variants_of(world, scene(1), scene(2))
    await world.erase("n0", "n3", images=[scene(0), scene(3)])
    await world.record("n4", scene(4))
    world.blobs.after, world.blobs.changes_left = after, change
    with pytest.RaisesGroup(Died, allow_unwrapped=True, flatten_subgroups=True):
        await world.pipeline(Limits(count=2, age_s=0.05)).run()
    world.blobs.changes_left = 1 << 30
    async with world.running(Limits(count=2, age_s=0.05)):
        await world.covered()
    assert gone.isdisjoint(shown(world))
    assert stays | variants_of(world, scene(4)) <= shown(world)
    (answer,) = (batch for batch in world.batches() if batch.erased_images)
    assert len(answer.rewritten) == 2
    for one in answer.rewritten:
        assert one.by is not None
        assert sha256_hex(tars(world)[one.by.key]) == one.by.sha256
    assert world.renderer.rendered - 5 in (0, 1)  # the last one again, if its archive was not there yet


def test_bytes_that_are_no_archive_of_ours_are_told_apart() -> None:
    with pytest.raises(ValueError, match="not an archive"):
        contents_of(b"nothing of ours")
    with pytest.raises(ValueError, match="not an archive"):
        without(b"nothing of ours", Erasure(frozenset(["0" * 64])))
