"""The parts of a backup: files of messages, the folder, padding, limits, what is left out, secrets, the command."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from annotation_ingest.settings import ParkingSettings
from labelstream.blobs.ports import BlobChanged, BlobNotFound, BlobTooLarge
from labelstream.parked import INGEST
from labelstream.producer import broker_settings
from labelstream.protection.sealing import new_identity
from labelstream.streams.amqp import decode
from labelstream.streams.message import Delivery
from labelstream.streams.padding import is_padding, padded_until, padding
from labelstream_cli.backup import retention, secrets, segments
from labelstream_cli.backup.book import Limits
from labelstream_cli.backup.folder import FolderBlobs
from labelstream_cli.backup.objects import PARTS
from labelstream_cli.backup.place import refuse_other_secrets
from labelstream_cli.backup.segments import Damaged
from labelstream_cli.backup.settings import laid_out, settings_of
from labelstream_cli.backup.target import bucket_in
from labelstream_cli.main import app
from labelstream_cli.reaching import one_at_a_time
from labelstream_cli.running import CommandFailed
from labelstream_local.record import Record, settle_ports
from labelstream_local.secrets_store import SecretStore

from .world import World, files_of

RECORD = Record(settle_ports(None))
MESSAGES = [Delivery("s", 3, b"\x00one", 1_700_000_000_001), Delivery("s", 9, b"", 1_700_000_000_002)]


def test_a_file_of_messages_is_read_as_it_was_written() -> None:
    packed = segments.pack("s", MESSAGES)
    assert segments.unpack("s", packed.segment, packed.data) == MESSAGES
    assert segments.pack("s", MESSAGES) == packed
    assert packed.segment.file.startswith(f"streams/s/{3:020d}-{9:020d}-")


def test_a_file_of_messages_that_changed_is_refused() -> None:
    packed = segments.pack("s", MESSAGES)
    with pytest.raises(Damaged, match="is damaged"):
        segments.unpack("s", packed.segment, packed.data[:-1])
    with pytest.raises(Damaged, match="holds no messages of another"):
        segments.unpack("another", packed.segment, packed.data)


def test_padding_is_a_message_that_says_what_it_is() -> None:
    filling = padding(1 << 50)
    assert (is_padding(filling), padded_until(filling)) == (True, 1 << 50)
    assert decode(filling).body.startswith(b"labelstream.padding.")


@pytest.mark.parametrize("raw", [b"", padding(7)[:-1], padding(7) + b"x", b"labelstream.padding.00000000000000000007"])
def test_nothing_else_is_padding(raw: bytes) -> None:
    assert (is_padding(raw), padded_until(raw)) == (False, None)


async def test_a_folder_keeps_what_a_bucket_would(files: FolderBlobs, tmp_path: Path) -> None:
    etag = await files.put("a/b/c", b"one")
    assert (await files.get("a/b/c")).etag == etag
    assert await files.create("a/b/c", b"two") is None
    with pytest.raises(BlobChanged):
        await files.replace("a/b/c", b"two", '"another"')
    await files.replace("a/b/c", b"two", etag)
    assert await files.get_range("a/b/c", 1, 2) == b"w"
    assert [info.key async for info in files.list("a/")] == ["a/b/c"]
    assert [info.key async for info in files.list("a/x")] == []
    with pytest.raises(BlobTooLarge):
        await files.get("a/b/c", most_bytes=2)
    await files.download("a/b/c", tmp_path / "out")
    await files.upload(tmp_path / "out", "d")
    assert (await files.get("d")).data == b"two"
    await files.delete("d")
    await files.delete("d")
    assert await files.head("d") is None
    with pytest.raises(BlobNotFound):
        await files.get("d")


@pytest.mark.parametrize("key", ["../outside", "a//b", "", "/etc/passwd", "a/./b"])
async def test_a_folder_is_not_left(files: FolderBlobs, key: str) -> None:
    with pytest.raises(ValueError, match="is no name of a file"):
        await files.put(key, b"x")


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("s3://bucket/a/b", ("bucket", "a/b/")),
        ("s3://bucket/a/", ("bucket", "a/")),
        ("s3://bucket", ("bucket", "")),
    ],
)
def test_a_place_in_s3_is_a_bucket_and_a_prefix(where: str, found: tuple[str, str]) -> None:
    assert bucket_in(where) == found


@pytest.mark.parametrize("where", ["ftp://bucket/a", "s3:///a", "s3://bucket/a?b=c"])
def test_another_address_is_refused(where: str) -> None:
    with pytest.raises(CommandFailed, match="neither a folder nor"):
        bucket_in(where)


def test_limits_are_read_as_people_write_them() -> None:
    told = retention.parse(["annotations=20GB,30d", "more=12h", "most=none", "size=5 MB"])
    assert told == {
        "annotations": Limits(max_bytes=20 * 10**9, max_age_s=30 * 86400),
        "more": Limits(max_age_s=12 * 3600),
        "most": Limits(),
        "size": Limits(max_bytes=5 * 10**6),
    }


@pytest.mark.parametrize("text", ["annotations", "=3d", "annotations=", "annotations=much"])
def test_limits_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"annotations|much|STREAM"):
        retention.parse([text])


def test_the_usual_limits_are_those_of_the_service() -> None:
    asked = ParkingSettings().retention
    assert retention.USUAL[INGEST].retention == asked


@pytest.mark.parametrize("part", PARTS)
async def test_what_is_left_out_is_not_there_and_everything_else_is(
    old: World, new: World, files: FolderBlobs, part: str
) -> None:
    await old.annotate(1, 1)
    left = {
        "archives": ("data", "default/archives/abc.tar"),
        "checkpoints": ("data", "default/jobs/j/attempts/0001/checkpoint-00003.pt"),
        "uploads": ("uploads", "photo.jpg"),
        "incoming": ("incoming", "annotations/photo.jpg"),
    }
    for role, key in left.values():
        await old.buckets[role].put(key, b"something")  # type: ignore[index]
    await old.back_up(files, without=(part,))
    await new.restore(files)
    expected = await old.objects()
    del expected[left[part]]
    assert await new.objects() == expected


async def test_what_the_services_make_again_is_left_out(old: World, new: World, files: FolderBlobs) -> None:
    await old.annotate(1, 1)
    for key in ("views/annotations/v9.sqlite", "probes/abc", "exporters/local.json", "restoring.json"):
        await old.buckets["data"].put(key, b"x")
    before = {key: data for key, data in (await old.objects()).items() if data != b"x"}
    await old.back_up(files)
    await new.restore(files)
    assert await new.objects() == before


async def test_secrets_come_back_to_whoever_has_the_key(old: World, files: FolderBlobs, tmp_path: Path) -> None:
    await old.annotate(1, 1)
    identity, recipient = new_identity()
    (tmp_path / "key").write_text(identity)
    old.secrets = tmp_path / "secrets"
    old.secrets.mkdir()
    (old.secrets / "vault.age-identity").write_text("AGE-SECRET-KEY-OF-A-VAULT")
    made = await old.back_up(files, secrets_for=recipient)
    assert not [name for name, data in files_of(files).items() if b"OF-A-VAULT" in data]

    names = await secrets.unpack(files, made.snapshot, tmp_path / "key", tmp_path / "again")
    assert names == ["vault.age-identity"]
    there = tmp_path / "again" / "vault.age-identity"
    assert (there.read_text(), there.stat().st_mode & 0o777) == ("AGE-SECRET-KEY-OF-A-VAULT", 0o600)
    await secrets.unpack(files, made.snapshot, tmp_path / "key", tmp_path / "again")
    there.write_text("AGE-SECRET-KEY-OF-ANOTHER-VAULT")
    with pytest.raises(CommandFailed, match="holds another vault"):
        await secrets.unpack(files, made.snapshot, tmp_path / "key", tmp_path / "again")


async def test_sealed_secrets_stay_in_later_backups_that_seal_none(
    old: World, files: FolderBlobs, tmp_path: Path
) -> None:
    identity, recipient = new_identity()
    (tmp_path / "key").write_text(identity)
    old.secrets = tmp_path / "secrets"
    old.secrets.mkdir()
    (old.secrets / "vault.age-identity").write_text("AGE-SECRET-KEY-OF-A-VAULT")
    sealed = await old.back_up(files, secrets_for=recipient)
    await old.back_up(files)
    newest = (await old.back_up(files, keep=1)).snapshot
    assert newest.secrets_from == sealed.snapshot.name
    assert newest.secrets_for == recipient
    assert await secrets.unpack(files, newest, tmp_path / "key", tmp_path / "again") == ["vault.age-identity"]


def test_the_files_that_settings_name_come_back_where_they_can_be_read(tmp_path: Path) -> None:
    schema, recipe, secret = tmp_path / "mine.json", tmp_path / "mine.yaml", tmp_path / "devices.json"
    for path in (schema, recipe, secret):
        path.write_text(f'"{path.name}"')
    trainer = {"RECIPE": str(recipe), "MIN_NEW": "0", "MLFLOW_PASSWORD": "hush"}
    told = {"trainer": trainer, "exporter": {"DEVICES_FILE": str(secret)}}
    schemas = {"demo": str(schema), "default": "example"}
    found = settings_of(replace(RECORD, schemas=schemas, told=told))
    assert found is not None
    assert sorted(found.files) == sorted([str(schema), str(recipe)])
    assert "hush" not in found.model_dump_json()
    laid = laid_out(found, tmp_path / "new")
    assert Path(laid.schemas["demo"]).read_text() == '"mine.json"'
    assert Path(laid.told["trainer"]["RECIPE"]).read_text() == '"mine.yaml"'
    assert (laid.schemas["default"], laid.told["trainer"]["MIN_NEW"]) == ("example", "0")
    assert settings_of(replace(RECORD, compose="labelstream")) is None


async def test_the_secrets_of_another_stack_are_not_taken_for_those_of_the_backup(
    old: World, files: FolderBlobs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, others = SecretStore(tmp_path / "mine" / "secrets"), SecretStore(tmp_path / "others" / "secrets")
    for store in (mine, others):
        store.directory.mkdir(parents=True)
        store.generate()
    old.secrets = mine.directory
    snapshot = (await old.back_up(files)).snapshot
    refuse_other_secrets(tmp_path / "mine", snapshot)
    for directory, why in (("others", "are of another stack"), ("nobodys", "there are no secrets in")):
        with pytest.raises(typer.Exit):
            refuse_other_secrets(tmp_path / directory, snapshot)
        assert why in capsys.readouterr().err
    with pytest.raises(typer.Exit):
        refuse_other_secrets(tmp_path / "others", snapshot, unsealed=True)
    assert "have another signing key than the stack had later" in " ".join(capsys.readouterr().err.split())


async def test_a_backup_without_secrets_says_so(old: World, files: FolderBlobs, tmp_path: Path) -> None:
    await old.annotate(1, 1)
    made = await old.back_up(files)
    with pytest.raises(CommandFailed, match="holds no secrets"):
        await secrets.unpack(files, made.snapshot, tmp_path / "key", tmp_path / "again")


def test_the_list_and_the_check_are_told_to_scripts(old: World, files: FolderBlobs) -> None:
    asyncio.run(backed_up(old, files))
    listed = json.loads(type_("list", str(files.root), "--json"))
    (one,) = listed["snapshots"]
    assert (one["streams"]["annotations"]["messages"], one["secrets"]) == (7, False)
    assert json.loads(type_("verify", str(files.root), "--json"))["whole"] is True


def test_a_place_alone_means_to_make_a_backup(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["backup", "--json", str(tmp_path / "there"), "--dir", str(tmp_path / "no-stack")])
    assert result.exit_code == 1
    assert "there is no stack in" in result.output


def test_a_second_backup_to_the_same_place_is_refused_while_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, place = "rabbitmq-stream://me:" + "word" + "@127.0.0.1:9/", tmp_path / "there"
    (tmp_path / "key").write_text("key")
    monkeypatch.setenv("LABELSTREAM_STORE__ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LABELSTREAM_STORE__ACCESS_KEY", "me")
    monkeypatch.setenv("LABELSTREAM_STORE__SECRET_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.chdir(tmp_path)
    with one_at_a_time(broker_settings(url), f"making a backup to {place}"):
        result = CliRunner().invoke(app, ["backup", "there", "--url", url])
    assert result.exit_code == 1
    assert "wait until it has ended" in " ".join(result.output.split())


def test_what_can_not_be_left_out_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["backup", str(tmp_path), "--without", "images"])
    assert result.exit_code == 2
    assert "there is no images" in result.output


async def backed_up(world: World, files: FolderBlobs) -> None:
    await world.annotate(1, 7)
    await world.back_up(files)


def type_(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["backup", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout
