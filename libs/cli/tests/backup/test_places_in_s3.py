"""A backup lies in the bucket of a store that has variables of its own, under a prefix."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Misconfigured
from labelstream.service.health import Health
from labelstream_cli.backup import checking
from labelstream_cli.backup.target import files_at
from labelstream_local.seaweedfs import WeedServer

from .world import World, assert_same

pytestmark = [pytest.mark.store]


@pytest.fixture
def place(seaweedfs: WeedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    settings = seaweedfs.settings
    key = tmp_path / "key"
    key.write_text(settings.secret_key.get_secret_value())
    monkeypatch.setenv("LABELSTREAM_BACKUP_STORE__ENDPOINT_URL", settings.endpoint_url)
    monkeypatch.setenv("LABELSTREAM_BACKUP_STORE__ACCESS_KEY", settings.access_key)
    monkeypatch.setenv("LABELSTREAM_BACKUP_STORE__SECRET_KEY_FILE", str(key))
    return f"s3://{settings.uploads_bucket}/backups/{uuid.uuid4().hex}"


async def test_a_stack_comes_back_from_a_bucket(place: str, seaweedfs: WeedServer) -> None:
    old, new = World(), World()
    await old.annotate(1, 20)
    await old.buckets["data"].put("default/archives/large.tar", bytes(range(256)) * (40 << 10))
    async with files_at(place) as files:
        await old.back_up(files)
        await old.annotate(21, 25)
        made = await old.back_up(files)
        assert not (await checking.check(files, made.snapshot)).problems
        await new.restore(files)
    await assert_same(old, new)

    bucket = S3Blobs(seaweedfs.settings, seaweedfs.settings.uploads_bucket, Health())
    prefix = place.split("/", 3)[3]
    everything = [info.key async for info in bucket.list("")]
    await bucket.close()
    assert f"{prefix}/backup.json" in everything
    assert [key for key in everything if not key.startswith(f"{prefix}/") and prefix in key] == []


async def test_objects_of_a_real_store_are_copied_once(place: str, seaweedfs: WeedServer) -> None:
    world = World()
    await world.annotate(1, 3)
    bucket = S3Blobs(seaweedfs.settings, seaweedfs.settings.model_bucket, Health(), page_size=7)
    prefix = uuid.uuid4().hex
    for number in range(25):
        await bucket.put(f"{prefix}/{number}", b"%d" % number)
    await bucket.put(f"{prefix}/large", bytes(range(256)) * (72 << 10))
    world.buckets["models"] = bucket  # type: ignore[assignment]
    async with files_at(place) as files:
        first = await world.back_up(files)
        await bucket.put(f"{prefix}/7", b"another")
        second = await world.back_up(files)
    await bucket.close()
    assert first.copied.objects >= 26
    assert second.copied.objects == 1


async def test_a_place_in_s3_without_its_variables_says_which_are_missing() -> None:
    with pytest.raises(Misconfigured, match="LABELSTREAM_BACKUP_STORE__ENDPOINT_URL"):
        async with files_at("s3://backups/here"):
            pass
