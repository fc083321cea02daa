"""labelstream models pull: a directory is whole and verified, or it does not look it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import MANIFEST
from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured, Rejected, Unavailable
from labelstream.protection.checking import Trust, checked
from labelstream.protection.pulled import Pulled, arriving
from labelstream.protection.sealing import new_identity
from labelstream.protection.signing_keys import new_signing_key
from labelstream_cli.models.exporter_api import ExporterApi, Offered

from .pull_world import TOKEN, PullWorld


@pytest.fixture
async def world(tmp_path: Path) -> PullWorld:
    world = PullWorld(tmp_path)
    await world.publish("m1")
    world.promote("m1", 1)
    return world


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "edge" / "model"


def verdict(world: PullWorld, root: Path) -> dict[str, str]:
    found = checked(root, Trust((world.public,), world.identity, above=0), now_ms=0)
    return {check.name: check.outcome for check in found.checks}


ALL_GOOD = {
    "signature": "passed",
    "manifest": "passed",
    "files": "passed",
    "classes": "skipped",
    "promotion": "passed",
    "grant": "passed",
    "onnx-fp32.age": "passed",
    "torchscript-fp32.age": "passed",
    "golden.age": "passed",
}


def lying(root: Path) -> list[str] | None:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else None


def visible(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.name not in {".lock", ".highest.json"}}


def contents(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in root.rglob("*") if path.is_file()]


def times(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


async def test_what_serves_is_pulled_whole_with_its_promotion_and_the_devices_grant(world: PullWorld, root: Path):
    pulled = await world.puller().pull("serving", root)
    assert (pulled.outcome, pulled.manifest.model, pulled.promotion) == ("pulled", "m1", 1)
    assert visible(root) == {"bundle", "promotion.json", "grant.age", "README.txt"}
    assert verdict(world, root) == ALL_GOOD


async def test_no_private_key_and_no_plain_weights_are_written(world: PullWorld, root: Path):
    await world.puller().pull("m1", root)
    for content in contents(root):
        assert b"AGE-SECRET-KEY-1" not in content
        assert world.identity.encode() not in content
        assert b"w" * 64 not in content


async def test_a_second_pull_fetches_nothing(world: PullWorld, root: Path):
    await world.puller().pull("serving", root)
    before = times(root)
    again = await world.puller(models=MemoryBlobs(away="nothing may be fetched")).pull("serving", root)
    assert (again.outcome, world.grants_made) == ("known", 1)
    assert times(root) == before


async def test_a_new_promotion_of_the_same_model_is_brought_without_the_bundle(world: PullWorld, root: Path):
    await world.puller().pull("serving", root)
    world.promote("m1", 3)
    again = await world.puller(models=MemoryBlobs(away="nothing may be fetched")).pull("serving", root)
    assert (again.outcome, again.promotion, world.grants_made) == ("renewed", 3, 1)
    assert verdict(world, root) == ALL_GOOD


async def test_a_grant_that_has_ended_is_asked_for_anew(world: PullWorld, root: Path):
    world.expires_ms = int(time.time() * 1000) + 60_000
    await world.puller().pull("serving", root)
    world.expires_ms = 1
    (root / "grant.age").write_bytes(await world.grant("m1"))
    world.expires_ms = None
    again = await world.puller(models=MemoryBlobs(away="nothing may be fetched")).pull("serving", root)
    assert (again.outcome, world.grants_made) == ("renewed", 3)
    assert verdict(world, root) == ALL_GOOD


async def test_a_newer_model_replaces_the_older(world: PullWorld, root: Path):
    await world.puller().pull("serving", root)
    (root / "notes.txt").write_text("somebody's own")
    await world.publish("m2")
    world.promote("m2", 2)
    assert (await world.puller().pull("serving", root)).manifest.model == "m2"
    assert verdict(world, root) == ALL_GOOD
    assert (root / "notes.txt").read_text() == "somebody's own"


async def test_a_damaged_directory_is_mended(world: PullWorld, root: Path):
    await world.puller().pull("serving", root)
    (root / "bundle" / "onnx-fp32.age").write_bytes(b"damaged")
    assert (await world.puller().pull("serving", root)).outcome == "pulled"
    assert verdict(world, root) == ALL_GOOD


class Ending(MemoryBlobs):
    """A store that goes away before it gives a key."""

    ends_at = ""

    async def get(self, key: str, most_bytes: int | None = None):
        if key == self.ends_at:
            raise Unavailable("object store", "it went away")
        return await super().get(key, most_bytes)


@pytest.mark.parametrize(
    "at", ["manifest.json", "model.sig", "report.html", "onnx-fp32.age.big", "torchscript-fp32.age.big"]
)
async def test_a_pull_that_ends_half_way_leaves_what_was_there(world: PullWorld, root: Path, at: str):
    await world.puller().pull("serving", root)
    await world.publish("m2")
    world.promote("m2", 2)
    store = Ending(_objects=world.store._objects)
    store.ends_at = keys.model("default", "m2", at)
    with pytest.raises(Unavailable):
        await world.puller(models=store).pull("serving", root)
    assert Pulled(root).is_whole
    assert verdict(world, root) == ALL_GOOD
    assert visible(root) == {"bundle", "promotion.json", "grant.age", "README.txt"}


async def test_a_first_pull_that_ends_half_way_leaves_nothing(world: PullWorld, root: Path):
    store = Ending(_objects=world.store._objects)
    store.ends_at = keys.model("default", "m1", "torchscript-fp32.age.big")
    with pytest.raises(Unavailable):
        await world.puller(models=store).pull("serving", root)
    assert lying(root) is None


async def test_what_people_keep_in_a_directory_is_not_replaced(world: PullWorld, root: Path):
    (root / "bundle").mkdir(parents=True)
    (root / "bundle" / "mine").write_text("mine")
    with pytest.raises(Misconfigured, match="holds something else \\(bundle\\)"):
        await world.puller().pull("serving", root)
    assert lying(root) == ["bundle", "bundle/mine"]


async def test_going_back_is_refused_also_after_an_older_model_was_pulled_by_name(world: PullWorld, root: Path):
    await world.publish("m2")
    world.promote("m1", 1)
    world.promote("m2", 2)
    await world.puller().pull("serving", root)
    await world.puller().pull("m1", root)
    world.promote("m1", 1)
    with pytest.raises(Rejected, match=r"promotion\.stale"):
        await world.puller().pull("serving", root)


async def test_what_a_killed_pull_left_is_removed_by_the_next(world: PullWorld, root: Path):
    (root / ".pulling" / "bundle").mkdir(parents=True)
    (root / ".pulling" / "bundle" / MANIFEST).write_text("{}")
    (root / ".replaced").mkdir()
    assert not Pulled(root).is_whole
    await world.puller().pull("serving", root)
    assert visible(root) == {"bundle", "promotion.json", "grant.age", "README.txt"}


async def test_two_pulls_into_one_directory_do_not_mix(world: PullWorld, root: Path):
    with arriving(root), pytest.raises(Misconfigured, match="another pull is writing to"):
        await world.puller().pull("serving", root)
    assert (await world.puller().pull("serving", root)).outcome == "pulled"


async def test_what_was_tampered_with_is_not_put_in_place(world: PullWorld, root: Path):
    key = keys.big_part("default", "m1", "onnx-fp32.age")
    big = bytearray((await world.store.get(key)).data)
    big[7] ^= 1
    await world.store.put(key, bytes(big))
    with pytest.raises(Rejected, match=r"bundle\.big_part_differs"):
        await world.puller().pull("serving", root)
    assert not Pulled(root).is_whole


async def test_a_manifest_that_was_exchanged_is_refused(world: PullWorld, root: Path):
    await world.publish("m2")
    other = (world.bundles["m2"].directory / MANIFEST).read_bytes()
    await world.store.put(keys.model("default", "m1", MANIFEST), other)
    with pytest.raises(Rejected, match=r"model\.manifest_differs"):
        await world.puller().pull("serving", root)


async def test_a_bundle_of_strangers_is_refused(world: PullWorld, root: Path):
    world.private.write_bytes(new_signing_key()[0])
    await world.publish("m2")
    with pytest.raises(Rejected, match=r"signature\.foreign_key"):
        await world.puller().pull("m2", root)
    assert not Pulled(root).is_whole


async def test_an_older_promotion_than_the_one_that_is_here_does_not_serve(world: PullWorld, root: Path):
    await world.publish("m2")
    world.promote("m2", 2)
    await world.puller().pull("serving", root)
    world.promote("m1", 1)
    with pytest.raises(Rejected, match=r"promotion\.stale"):
        await world.puller().pull("serving", root)
    assert (await world.puller().pull("m1", root)).manifest.model == "m1"  # asked for by name


async def test_a_promotion_of_strangers_is_refused(world: PullWorld, root: Path, tmp_path: Path):
    (tmp_path / "stranger.pem").write_bytes(new_signing_key()[0])
    world.promote("m1", 9, signer=tmp_path / "stranger.pem")
    with pytest.raises(Rejected, match=r"promotion\.bad_signature"):
        await world.puller().pull("serving", root)


async def test_a_model_that_gives_a_class_another_meaning_does_not_replace_the_one_that_is_here(
    world: PullWorld, root: Path
):
    await world.puller().pull("serving", root)
    await world.publish("m2", classes=ClassSchema(name="animals", classes=("cat", "dog")))
    with pytest.raises(Rejected, match=r"bundle\.foreign_classes"):
        await world.puller().pull("m2", root)
    await world.publish("m3", classes=ClassSchema(name="vehicles", version=2, classes=("car", "truck", "boat")))
    assert (await world.puller().pull("m3", root)).manifest.model == "m3"


async def test_a_model_that_was_never_promoted_comes_without_a_promotion(world: PullWorld, root: Path):
    await world.puller().pull("serving", root)
    await world.publish("m2")
    assert (await world.puller().pull("m2", root)).promotion is None
    assert verdict(world, root) == ALL_GOOD | {"promotion": "passed"}
    assert visible(root) == {"bundle", "grant.age", "README.txt"}


async def test_a_revoked_device_gets_nothing_more(world: PullWorld, root: Path):
    world.revoked = True
    with pytest.raises(Rejected, match="device-revoked"):
        await world.puller().pull("serving", root)
    assert not Pulled(root).is_whole


async def test_a_grant_for_another_device_is_refused(world: PullWorld, root: Path):
    world.recipient = new_identity()[1]
    with pytest.raises(Rejected, match=r"grant\.not_for_us"):
        await world.puller().pull("serving", root)


# --- the exporter's API ----------------------------------------------------------------------------------------------


class Naps:
    """Remembers how long was slept, and sleeps for no time at all."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


def api(world: PullWorld, naps: Naps, token: str = TOKEN, **told) -> ExporterApi:
    patience = {"patience_s": told.pop("patience_s", 120.0)}
    client = httpx.AsyncClient(transport=httpx.ASGITransport(world.app(**told)), base_url="http://exporter")
    return ExporterApi(client, SecretStr(token), "default", sleep=naps, **patience)


async def test_a_grant_that_is_being_made_is_waited_for_as_long_as_the_exporter_says(world: PullWorld):
    naps = Naps()
    grant = await api(world, naps, makes_at_ask=3).grant("m1")
    assert grant.startswith(b"age-encryption.org/v1")
    assert naps.taken == [7.0, 7.0]


async def test_a_grant_that_does_not_come_in_time_is_said(world: PullWorld):
    with pytest.raises(Unavailable, match="does the exporter's decider run"):
        await api(world, Naps(), makes_at_ask=1_000_000, patience_s=6).grant("m1")


async def test_a_refusal_is_told_as_the_exporter_says_it(world: PullWorld):
    with pytest.raises(Rejected, match=r"token-unknown: nobody's\. Enrol it\."):
        await api(world, Naps(), token="somebody else's").grant("m1")
    with pytest.raises(Rejected, match="model-unknown"):
        await api(world, Naps()).find("serving-not")


async def test_a_model_is_found_by_the_beginning_of_its_id(world: PullWorld):
    await world.publish("abcd1")
    await world.publish("abcd2")
    assert (await api(world, Naps()).find("serving")).model == "m1"
    assert (await api(world, Naps()).find("abcd1")).model == "abcd1"
    with pytest.raises(Rejected, match=r"model\.ambiguous: 2 models begin with abcd: abcd1, abcd2"):
        await api(world, Naps()).find("abcd")
    with pytest.raises(Rejected, match="model-unknown"):
        await api(world, Naps()).find("abc")


@pytest.mark.parametrize(
    ("told", "changes", "rule"),
    [
        ("serving", {"project": "harbour"}, r"exporter\.other_model"),
        ("serving", {"promotion": None}, r"promotion\.missing"),
        ("abcd1", {"model": "m1"}, r"exporter\.other_model"),
    ],
    ids=["another project", "no promotion", "another model"],
)
async def test_an_exporter_that_offers_something_else_is_not_believed(
    world: PullWorld, monkeypatch: pytest.MonkeyPatch, told: str, changes: dict[str, object], rule: str
):
    await world.publish("abcd1")
    find = world.find

    async def other(told: str) -> Offered:
        return (await find(told)).model_copy(update=changes)

    monkeypatch.setattr(world, "find", other)
    with pytest.raises(Rejected, match=rule):
        await api(world, Naps()).find(told)
