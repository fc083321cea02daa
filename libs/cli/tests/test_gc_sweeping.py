"""Removing what was planned: what changed meanwhile stays, and a second try comes to the same."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.errors import Unavailable
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream_cli.gc.survey import Rules
from labelstream_cli.gc.sweeping import CHUNK, Swept, sweep
from labelstream_cli.gc.view import as_json, lines, show, show_swept
from labelstream_cli.main import app
from labelstream_cli.running import CommandFailed
from labelstream_datasets.archives.collected import Collected

from .gc_world import NEW, OLD, WEEK, World


@pytest.fixture
async def world() -> World:
    """Hold a project with three objects that may go: an image and two archives; others stay."""
    world = World()
    await world.ensure()
    await world.record(1)
    await world.image(2)
    kept, _ = await world.batch(OLD, ["kept", "old"])
    await world.batch(NEW, ["new"])
    await world.archive("unnamed")
    await world.model("m", await world.dataset("d", [kept]))
    world.pass_days(8)
    return world


async def run(world: World) -> Swept:
    survey = world.survey()
    (found,) = await survey.look()
    return await sweep(survey, found.plan)


class Watched(MemoryBlobs):
    """Remembers what was written and removed."""

    did: list[tuple[str, str]]

    async def put(self, key: str, data: bytes) -> str:
        self.did.append(("put", key))
        return await super().put(key, data)

    async def delete(self, key: str) -> None:
        self.did.append(("delete", key))
        await super().delete(key)


def watched(world: World) -> Watched:
    blobs = Watched(world.clock, _objects=world.blobs._objects)
    blobs.did = []
    world.blobs = blobs
    return blobs


async def test_looking_removes_nothing(world: World) -> None:
    blobs = watched(world)
    assert len((await world.look()).plan.candidates) == 3
    assert blobs.did == []


async def test_exactly_the_plan_goes_and_a_second_run_finds_nothing(world: World) -> None:
    before, going = await world.keys(), set(await world.going())
    swept = await run(world)
    assert {one.info.key for one in swept.removed} == going
    notes = {keys.collected(key) for key in going if "/archives/" in key}
    assert await world.keys() == before - going | notes
    assert (swept.gone, swept.stayed) == ([], {})
    assert await world.going() == {}


async def test_an_archive_goes_after_the_note_that_says_so(world: World) -> None:
    blobs, old = watched(world), (await world.archive("old")).key
    await run(world)
    assert blobs.did.index(("put", keys.collected(old))) < blobs.did.index(("delete", old))
    note = Collected.model_validate_json((await world.blobs.get(keys.collected(old))).data)
    assert (note.archive, note.recipe, note.reason) == (old, OLD, "archive.older_recipe")
    unnamed = (await world.archive("unnamed")).key
    assert Collected.model_validate_json((await world.blobs.get(keys.collected(unnamed))).data).recipe is None


async def test_what_is_referred_to_between_plan_and_removal_stays(world: World) -> None:
    survey = world.survey()
    (found,) = await survey.look()
    await world.record(2)  # the object that is there is old; its receipt is new
    await world.batch(NEW, ["unnamed"])
    await world.dataset("new", [(await world.archive("old")).key])
    swept = await sweep(survey, found.plan)
    assert swept.removed == []
    assert swept.stayed == {one.info.key: "something refers to it by now" for one in found.plan.candidates}


async def test_what_is_written_again_between_plan_and_removal_stays(world: World) -> None:
    survey = world.survey()
    (found,) = await survey.look()
    key = world.image_ref(2).key
    await world.blobs.put(key, b"image 2")
    swept = await sweep(survey, found.plan)
    assert swept.stayed == {key: "it was written again"}
    assert key in await world.keys()


class Referring(MemoryBlobs):
    """Records another image whenever one is removed: the last one of the plan."""

    world: World
    late: int

    async def delete(self, key: str) -> None:
        await super().delete(key)
        await self.world.record(self.late)


async def test_a_reference_that_comes_while_objects_go_saves_those_of_the_next_chunk() -> None:
    world = World()
    await world.ensure()
    await world.record(10_000)
    orphans = {await world.image(number): number for number in range(CHUNK + 5)}
    world.pass_days(8)
    last = max(orphans)
    blobs = Referring(world.clock, _objects=world.blobs._objects)
    blobs.world, blobs.late = world, orphans[last]
    world.blobs = blobs
    swept = await run(world)
    assert swept.stayed == {last: "something refers to it by now"}
    assert {one.info.key for one in swept.removed} == set(orphans) - {last}


class Failing(MemoryBlobs):
    """Goes away after some removals."""

    left = 1

    async def delete(self, key: str) -> None:
        if not self.left:
            raise Unavailable("object store", "it restarts")
        self.left -= 1
        await super().delete(key)


async def test_an_interrupted_run_is_taken_up_by_the_next_one(world: World) -> None:
    going, objects = set(await world.going()), world.blobs._objects
    world.blobs = Failing(world.clock, _objects=objects)
    with pytest.raises(Unavailable, match="it restarts"):
        await run(world)
    assert len(going & await world.keys()) == 2
    world.blobs = MemoryBlobs(world.clock, _objects=objects)
    await run(world)
    assert not going & await world.keys()
    assert await world.going() == {}


async def test_two_runs_at_once_do_no_harm(world: World) -> None:
    before, going = await world.keys(), set(await world.going())
    one, two = await asyncio.gather(run(world), run(world))
    assert {each.info.key for each in (*one.removed, *two.removed)} == going
    notes = {keys.collected(key) for key in going if "/archives/" in key}
    assert await world.keys() == before - going | notes


async def test_a_doubt_that_comes_up_meanwhile_stops_it(world: World) -> None:
    survey = world.survey()
    (found,) = await survey.look()
    world.broker.delete(ANNOTATION_EVENTS)
    await world.broker.ensure_stream(ANNOTATION_EVENTS)
    with pytest.raises(CommandFailed, match=r"stopped after 0 objects .* made anew while it was read"):
        await sweep(survey, found.plan)
    assert {one.info.key for one in found.plan.candidates} < await world.keys()


# ---- what is told


def printed(world_console: Console) -> str:
    return " ".join(world_console.export_text().split())


async def test_a_dry_run_says_how_much_would_go_and_why_and_what_keeps_the_rest(world: World) -> None:
    console = Console(record=True, width=140)
    await world.blobs.put(keys.attempt("default", "job", 1, "weights"), b"12")
    await world.blobs.put(keys.attempt("default", "job", 2, "weights"), b"123")
    await world.image(3)
    found = await world.look()
    show(found, Rules(WEEK), console)
    text = printed(console)
    assert f"of the older recipe {OLD[:12]}; no kept dataset needs them" in text
    assert "no receipt names them" in text
    assert "together 3" in text
    assert "needed: 1 image (7 bytes), 2 archives (" in text
    assert "the model m was made of it" in text
    assert "1 object (7 bytes) that nothing refers to: not older than 7 d yet" in text
    assert "jobs/ has 2 files (5 bytes), 1 file (2 bytes) of attempts that another took over" in text


async def test_a_doubt_is_told_in_the_place_of_a_plan(world: World) -> None:
    await world.blobs.put("default/archives/notes.txt", b"x")
    console = Console(record=True, width=140)
    show(await world.look(), Rules(WEEK), console)
    assert "Nothing of this project can be removed: - default/archives/notes.txt is not a name" in printed(console)


async def test_scripts_get_every_key(world: World) -> None:
    found, going = await world.look(), await world.going()
    said = json.loads(json.dumps(as_json(found, None)))
    assert {key for group in said["groups"] for key in group["keys"]} == set(going)
    assert "removed" not in said
    assert [line.split("\t")[0] for line in lines([found])] == [one.info.key for one in found.plan.candidates]
    swept = await run(world)
    said = json.loads(json.dumps(as_json(found, swept)))
    assert set(said["removed"]["keys"]) == set(going)
    assert said["removed"]["size_bytes"] == found.plan.size_bytes
    console = Console(record=True)
    show_swept(swept, console)
    assert "default: 3 objects removed" in printed(console)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--json", "--delete"], "--json asks nothing"),
        (["--older-than", "soon"], "is no age"),
        ([], "labelstream up"),
    ],
)
def test_what_can_not_be_done_is_refused_clearly(arguments: list[str], told: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["gc", *arguments, "--dir", str(tmp_path)], env={"COLUMNS": "200"})
    assert result.exit_code != 0
    assert told in result.output
