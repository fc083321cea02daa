"""`labelstream dataset …` on the real broker and store, behind the services that annotate and augment."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from labelstream.blobs.s3 import S3Blobs
from labelstream.service.health import Health
from labelstream_cli.scenes.folder import draw_scenes
from labelstream_local.stack import down, up

from .commands import Bench, options

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(600)]

FIRST, LATER, UNVALIDATED, ERASED = range(7), range(7, 10), range(10, 12), range(12, 14)
RATIOS = ("--ratios", "50/25/25")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A stack with nothing in it yet, and scenes to push."""
    directory = tmp_path_factory.mktemp("datasets")
    draw_scenes(directory / "scenes", clips=ERASED.stop)
    try:
        yield Bench(up(directory / "stack", options(directory)), directory / "scenes", directory)
    finally:
        down(directory / "stack")


@pytest.fixture(scope="module")
def first(bench: Bench) -> dict[str, Any]:
    """What `build` said of the first clips, when there was nothing else."""
    bench.push(FIRST)
    return bench.dataset("build", *RATIOS, "--name", "first")


@pytest.fixture(scope="module")
def later(bench: Bench, first: dict[str, Any]) -> dict[str, Any]:
    """What `build` said when more clips were there."""
    assert first["id"]
    bench.push(LATER)
    return bench.dataset("build", *RATIOS)


def cut(made: dict[str, Any]) -> int:
    return int(made["description"]["cut"]["offset"])


def images(made: dict[str, Any]) -> int:
    return sum(held["images"] for held in made["description"]["counts"].values())


@asynccontextmanager
async def _store(bench: Bench) -> AsyncIterator[S3Blobs]:
    blobs = S3Blobs(bench.stack.store, bench.stack.store.data_bucket, Health())
    try:
        yield blobs
    finally:
        await blobs.close()


def in_store(bench: Bench, prefix: str) -> dict[str, bytes]:
    async def read() -> dict[str, bytes]:
        async with _store(bench) as blobs:
            return {info.key: (await blobs.get(info.key)).data async for info in blobs.list(prefix)}

    return asyncio.run(read())


def put(bench: Bench, key: str, data: bytes) -> None:
    async def write() -> None:
        async with _store(bench) as blobs:
            await blobs.put(key, data)

    asyncio.run(write())


def test_nothing_that_is_annotated_is_said_plainly(bench: Bench) -> None:
    said = bench.type("dataset", "build", expected=1)
    assert "nothing is annotated yet" in said.output.replace("\n", " ")
    assert bench.dataset("list")["datasets"] == []


def test_the_same_annotations_give_the_same_dataset(bench: Bench, first: dict[str, Any]) -> None:
    again = bench.dataset("build", *RATIOS)
    assert (first["existed"], again["existed"]) == (False, True)
    assert again["id"] == first["id"]
    assert again["name"] == "first"
    assert images(first) == len(list((bench.scratch / "scenes/images").glob("clip-000[0-6]_*")))


def test_a_past_offset_gives_the_dataset_that_it_gave_then(
    bench: Bench, first: dict[str, Any], later: dict[str, Any]
) -> None:
    assert later["id"] != first["id"]
    then = bench.dataset("build", *RATIOS, "--at", str(cut(first)))
    assert (then["id"], then["existed"]) == (first["id"], True)
    found = bench.dataset("diff", first["id"][:8], later["id"][:8])
    assert len(found["added"]) == images(later) - images(first) > 0
    assert (found["removed"], found["relabelled"], found["moved"], found["leaking"]) == ([], [], [], 0)


def test_a_dry_run_stores_nothing(bench: Bench, first: dict[str, Any]) -> None:
    assert first["stored"]
    before = in_store(bench, "")
    told = ("--salt", "another", "--unvalidated", "--dry-run", "--name", "never")
    assert not bench.dataset("build", *RATIOS, *told)["stored"]
    assert in_store(bench, "").keys() == before.keys()


def test_lists_say_which_annotation_is_for_what(bench: Bench, first: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("clip-0001_f0\n")
    (tmp_path / "train.txt").write_text("clip-0002_f0.jpg\nnobody\n")
    at = ("--at", str(cut(first)))
    made = bench.dataset("build", *at, "--ratios", "0/100/0", "--splits", str(tmp_path), "--name", "by lists")
    held = made["description"]["counts"]
    assert (held["test"]["media"], held["train"]["media"], held["val"]["media"]) == (1, 1, len(FIRST) - 2)
    assert made["description"]["published_unknown"] == 1
    assert bench.dataset("verify", made["id"])["sound"]


def test_classes_are_chosen_and_merged(bench: Bench, first: dict[str, Any]) -> None:
    at = ("--at", str(cut(first)), *RATIOS)
    made = bench.dataset("build", *at, "--merge", "silo=building", "--merge", "house=building", "--class", "building")
    assert made["description"]["class_schema"]["classes"] == ["building"]
    before = first["description"]["counts"]["train"]["class_images"]
    after = made["description"]["counts"]["train"]["class_images"]["0"]
    assert max(before["2"], before["3"]) <= after <= before["2"] + before["3"]
    assert bench.dataset("verify", made["id"])["sound"]
    said = bench.type("dataset", "build", "--class", "buildin", expected=1).output
    assert "'buildin'" in said


def test_unvalidated_annotations_come_when_they_are_asked_for(bench: Bench, later: dict[str, Any]) -> None:
    bench.push(UNVALIDATED, "--unvalidated")
    without = bench.dataset("build", *RATIOS, "--dry-run")
    assert images(without) == images(later)
    made = bench.dataset("build", *RATIOS, "--unvalidated")
    assert images(made) > images(later)
    assert bench.dataset("verify", made["id"], "--deep")["sound"]


def test_list_and_show_tell_what_is_stored(bench: Bench, first: dict[str, Any]) -> None:
    listed = {one["id"]: one for one in bench.dataset("list")["datasets"]}
    assert listed[first["id"]]["name"] == "first"
    assert listed[first["id"]]["options"] == {"ratios": {"train": 0.5, "val": 0.25, "test": 0.25}}
    shown = bench.dataset("show", first["id"][:4] if _alone(listed, first["id"][:4]) else first["id"])
    assert shown["description"]["counts"] == first["description"]["counts"]
    text = bench.type("dataset", "list").stdout
    assert "kept as first" in text
    assert max(map(len, text.splitlines())) <= 100
    assert first["id"] in bench.type("dataset", "show", first["id"]).stdout


def _alone(listed: dict[str, Any], prefix: str) -> bool:
    return sum(one.startswith(prefix) for one in listed) == 1


def test_an_unknown_dataset_is_answered_with_those_that_there_are(bench: Bench, first: dict[str, Any]) -> None:
    unknown = "0" * 64
    said = bench.type("dataset", "show", unknown, expected=1).output.replace("\n", "")
    assert first["id"][:12] in said
    assert "at least 4 hexadecimal digits" in bench.type("dataset", "show", "zz", expected=1).output.replace("\n", " ")


def test_a_dataset_is_pulled_as_a_folder_for_trainers(bench: Bench, first: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "pulled"
    bench.dataset("pull", first["id"], str(folder))
    found = {split: len(list((folder / split / "images").iterdir())) for split in ("train", "val", "test")}
    counts = first["description"]["counts"]
    assert found == {split: counts.get(split, {"samples": 0})["samples"] for split in found}
    assert yaml.safe_load((folder / "data.yaml").read_text())["names"][0] == "car"
    again = bench.type("dataset", "pull", first["id"], str(folder), "--splits", "val", expected=1).output
    assert f"holds the dataset {first['id'][:12]} (train, val, test)" in " ".join(again.split())
    assert (folder / "train").is_dir()
    bench.dataset("pull", first["id"], str(folder), "--splits", "val", "--replace")
    assert not (folder / "train").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    bench.type("dataset", "pull", first["id"], str(tmp_path / "taken"), expected=1)
    assert (tmp_path / "taken" / "mine.txt").read_text() == "mine"


def test_a_dataset_is_exported_in_other_forms(bench: Bench, first: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "coco"
    said = bench.dataset("export", first["id"], "--format", "coco", "--out", str(target), "--originals")
    assert said["images"] == images(first)
    boxes = [json.loads(file.read_text())["annotations"] for file in target.rglob("*.json")]
    assert (
        sum(map(len, boxes)) == said["boxes"] == sum(held["boxes"] for held in first["description"]["counts"].values())
    )
    assert [path.name for path in tmp_path.iterdir()] == ["coco"]
    again = bench.type("dataset", "export", first["id"], "--format", "coco", "--out", str(target), expected=1)
    assert "exists already" in again.output


def test_the_page_of_a_dataset_stands_alone(bench: Bench, first: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "first.html"
    said = bench.dataset("stats", first["id"], "--out", str(page))
    text = page.read_text()
    assert said["findings"]
    assert first["id"][:12] in text
    assert "data:image/" in text
    assert 'src="http' not in text


def test_a_tampered_archive_is_named(bench: Bench, first: dict[str, Any]) -> None:
    assert bench.dataset("verify", first["id"], "--deep")["sound"]
    (key, whole), *_ = (
        (key, data) for key, data in in_store(bench, "default/archives/").items() if key in _used(bench, first)
    )
    put(bench, key, whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
    try:
        assert bench.dataset("verify", first["id"])["sound"]
        found = bench.dataset("verify", first["id"], "--deep", expected=1)["findings"]
        assert [(one["kind"], one["where"]) for one in found] == [("changed", key)]
        put(bench, key, whole[:-1])
        shorter = bench.type("dataset", "verify", first["id"], expected=1).output
        assert "changed" in shorter
    finally:
        put(bench, key, whole)


def _used(bench: Bench, made: dict[str, Any]) -> set[str]:
    key = f"default/datasets/{made['id']}/manifest.parquet"
    data = in_store(bench, key)[key]
    return set(pq.read_table(io.BytesIO(data), columns=["archive"])["archive"].to_pylist())


def test_what_was_erased_since_is_named(bench: Bench, later: dict[str, Any]) -> None:
    assert later["id"]
    bench.push(ERASED)
    made = bench.dataset("build", *RATIOS)
    name = f"clip-{ERASED[0]:04d}_f0"
    assert bench.dataset("verify", made["id"])["sound"]
    bench.type("erase", name, "--yes")
    said = bench.dataset("verify", made["id"], expected=1)
    erased = {lost["name"] for one in said["findings"] if one["kind"] == "erased" for lost in one["images"]}
    assert erased == {name}
    assert {one["kind"] for one in said["findings"]} == {"erased"}
    assert said["rebuilt_id"] not in (None, made["id"])
    assert name in bench.type("dataset", "verify", made["id"], expected=1).stdout


def test_a_dataset_that_is_forgotten_is_not_kept_any_more(bench: Bench, first: dict[str, Any]) -> None:
    made = bench.dataset("build", "--at", str(cut(first)), "--salt", "to forget")
    assert f"default/datasets/{made['id']}/kept" in in_store(bench, "default/datasets/")
    assert bench.dataset("forget", made["id"])["was_kept"]
    assert f"default/datasets/{made['id']}/kept" not in in_store(bench, "default/datasets/")
    assert not bench.dataset("forget", made["id"])["was_kept"]


def test_another_broker_and_store_are_reached_by_address(
    bench: Bench, first: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broker, store = bench.stack.broker, bench.stack.store
    url = f"rabbitmq-stream://{broker.username}:{broker.password.get_secret_value()}@{broker.host}:{broker.stream_port}"
    monkeypatch.setenv("LABELSTREAM_STORE__ENDPOINT_URL", store.endpoint_url)
    monkeypatch.setenv("LABELSTREAM_STORE__ACCESS_KEY", store.access_key)
    monkeypatch.setenv("LABELSTREAM_STORE__SECRET_KEY", store.secret_key.get_secret_value())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = bench.dataset("build", *RATIOS, "--at", str(cut(first)), "--url", url)
    assert said["id"] == first["id"]
    assert list(tmp_path.rglob("annotations.sqlite"))
    unknown = bench.type("dataset", "list", "--url", url, "--project", "harbour", expected=1).output
    assert "harbour" in unknown
