"""What the commands about devices and people ask for, read and show; on doubles."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from labelstream import keys
from labelstream.access import ApiKey, Device, Ended, KeyToken, User
from labelstream.answers import write_answer
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.access import (
    AccessEvent,
    AccessGiven,
    AccessRefused,
    AccessRevoked,
    GrantMade,
    ResourceFetched,
    ResourceStored,
)
from labelstream.events.base import ACCESS_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.model_requests import QUEUE, Answer, ModelRequest, RevokeDevice
from labelstream.protection.sealing import identity_in, new_identity, recipient_of
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker
from labelstream_cli.access.audit import show_entries
from labelstream_cli.access.audit_log import Log, last_fetches, read_log
from labelstream_cli.access.device_list import show_devices
from labelstream_cli.access.key_list import show_keys
from labelstream_cli.access.records import DEVICES, KEYS, USERS, read_page
from labelstream_cli.access.user_list import show_users
from labelstream_cli.jobs.place import Place
from labelstream_cli.main import app
from labelstream_cli.models.asking import NoAnswer, answer_to, ask, asked, who
from labelstream_cli.running import CommandFailed

REVOKE = ModelRequest(what=RevokeDevice(name="kiosk"), by="ada", why="lost")
ENDED = Ended(at_ms=1_790_000_000_000, by="eve", why="it was stolen")
RECIPIENT = "age1" + "q" * 58


def device(name: str, **more: object) -> Device:
    told = {"name": name, "recipient": RECIPIENT, "token_sha256": "0" * 64, "added_by": "ada", **more}
    return Device.model_validate(told)


@pytest.fixture
def place() -> Place:
    return Place(MemoryBroker(), MemoryBlobs(), MemoryJobQueue(), Health())


# ---- asking


async def test_a_request_travels_with_an_answer_id_of_its_own_and_who_asks(place: Place) -> None:
    asking = await ask(place.queue, "default", REVOKE)
    taken = await place.queue.take(QUEUE)
    assert taken is not None
    assert ModelRequest.model_validate(taken.job.payload) == REVOKE.model_copy(update={"answer": asking})
    assert asking != await ask(place.queue, "default", REVOKE)


async def test_a_refusal_is_told_with_rule_reason_and_hint(place: Place) -> None:
    refused = Answer(outcome="refused", rule="device.unknown", reason="there is no device kiosk", hint="Look again.")
    await write_answer(place.blobs, "default", "a" * 32, refused)
    with pytest.raises(CommandFailed, match=r"^device\.unknown: there is no device kiosk\. Look again\.$"):
        await answer_to(place.blobs, "default", "a" * 32)


async def test_who_waits_in_vain_is_told_that_the_request_is_stored(place: Place) -> None:
    with pytest.raises(NoAnswer, match=r"did not answer within 0 s: .* The request is stored"):
        await asked(place, "default", REVOKE, within_s=0)
    assert await place.queue.take(QUEUE) is not None


async def test_an_answer_that_can_not_be_read_does_not_unmake_the_request(place: Place) -> None:
    assert isinstance(place.blobs, MemoryBlobs)
    place.blobs.away = "it went away"
    with pytest.raises(NoAnswer, match=r"it went away.* The request is stored"):
        await asked(place, "default", REVOKE)


def test_who_asks_is_who_is_named_or_who_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert (who(None), who(" ada ")) == ("grace", "ada")


# ---- a device's key


def test_a_device_key_is_made_on_the_device_and_only_its_public_half_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "device.age-identity"
    shown = CliRunner().invoke(app, ["devices", "new-key", str(file), "--json"])
    assert shown.exit_code == 0, shown.output
    identity = identity_in(file.read_text())
    assert json.loads(shown.stdout)["recipient"] == recipient_of(identity)
    assert identity not in shown.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "device.age-identity"
    file.write_text("the only copy")
    refused = CliRunner().invoke(app, ["devices", "new-key", str(file)])
    assert refused.exit_code == 1
    assert file.read_text() == "the only copy"


# ---- what is refused before anybody is asked


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("devices add Kiosk --recipient age1x", "can't be a name"),
        ("devices add kiosk --recipient age1x --project UP", "can't be a name"),
        ("devices revoke kiosk --why ", "a revocation says why"),
        ("users add ada --email nonsense --password-file FILE", "this is no address"),
        ("users add ada --email a@b --password-file SHORT", "take at least 8"),
        ("users add ada --email a@b", "name a --password-file"),
        ("users add ada --email a@b --password-file NONE", "can't be read"),
        ("keys add Line", "can't be a name"),
        ("keys add line --per-minute 0", "--per-minute"),
        ("keys add line --days 0", "--days"),
        ("keys add line --token-file FILE", "is there already"),
        ("keys revoke line --why ", "a revocation says why"),
        ("predict FILE --api-key hunter2", "no API key: one begins lsk_"),
        ("devices audit --since yesterday", "--since yesterday"),
        ("devices add kiosk --recipient age1x --token-file FILE", "is there already"),
    ],
)
def test_what_can_not_be_meant_is_refused_at_once(tmp_path: Path, typed: str, said: str) -> None:
    (tmp_path / "file").write_text("a long password\n")
    (tmp_path / "short").write_text("short\n")
    places = {"FILE": tmp_path / "file", "SHORT": tmp_path / "short", "NONE": tmp_path / "none"}
    arguments = [str(places.get(word, word)) for word in typed.split(" ")]
    refused = CliRunner(env={"COLUMNS": "400"}).invoke(app, [*arguments, "--dir", str(tmp_path / "no stack")])
    assert refused.exit_code != 0
    assert said in refused.output
    assert (tmp_path / "file").read_text() == "a long password\n"


def test_the_token_of_a_device_that_was_not_added_is_not_left_behind(tmp_path: Path) -> None:
    token = tmp_path / "kiosk.token"
    typed = ["devices", "add", "kiosk", "--recipient", "age1x", "--token-file", str(token)]
    refused = CliRunner().invoke(app, [*typed, "--dir", str(tmp_path / "no stack")])
    assert refused.exit_code == 1
    assert not token.exists()


# ---- lists


async def test_a_long_list_comes_in_pages_and_reads_no_more_than_it_shows() -> None:
    blobs = MemoryBlobs()
    for number in range(7):
        await blobs.put(keys.device(f"d{number}"), device(f"d{number}").model_dump_json().encode())
    await blobs.put(keys.device("d5"), b"{")
    first = await read_page(blobs, DEVICES, Device, "", 3)
    assert ([each.name for each in first.records], first.more, first.last) == (["d0", "d1", "d2"], 4, "d2")
    second = await read_page(blobs, DEVICES, Device, first.last, 3)
    assert ([each.name for each in second.records], second.unreadable, second.more) == (["d3", "d4"], ("d5",), 1)
    every = await read_page(blobs, DEVICES, Device, "", 0)
    assert (len(every.records), every.more) == (6, 0)


async def test_devices_and_people_are_shown_with_what_they_may_and_why_they_may_no_longer() -> None:
    blobs = MemoryBlobs()
    known = (
        device("door", projects=("harbour", "yard"), grant_days=30, added_ms=1_790_000_000_000),
        device("kiosk", revoked=ENDED),
    )
    for one in known:
        await blobs.put(keys.device(one.name), one.model_dump_json().encode())
    user = User(name="ada", email_sha256="1" * 64, password_hash="$argon2id$secret", may_upload=True, added_by="root")
    await blobs.put(keys.user("ada"), user.model_dump_json().encode())
    out = Console(file=io.StringIO(), width=160, highlight=False)
    show_devices(await read_page(blobs, DEVICES, Device, "", 50), {"door": 1_790_000_100_000}, out)
    show_users(await read_page(blobs, USERS, User, "", 50), out)
    assert isinstance(out.file, io.StringIO)
    said = out.file.getvalue()
    assert "harbour, yard" in said
    assert "30 d" in said
    assert "by eve: it was stolen" in said
    assert "fetch, upload" in said
    assert "$argon2id" not in said
    assert "1" * 64 not in said


async def test_keys_are_shown_with_their_ids_and_rights_and_how_they_ended() -> None:
    blobs = MemoryBlobs()

    def key(name: str, **more: object) -> ApiKey:
        token = KeyToken.new()
        return ApiKey.model_validate({"name": name, "id": token.id, "secret_sha256": token.secret_sha256, **more})

    known = (
        key("a-dashboard", projects=("harbour", "yard"), per_minute=6000, added_by="ada"),
        key("b-old", expires_ms=1_600_000_000_000),
        key("c-lost", expires_ms=4_000_000_000_000, revoked=ENDED),
        key("d-new", expires_ms=4_000_000_000_000),
    )
    for one in known:
        await blobs.put(keys.api_key(one.name), one.model_dump_json().encode())
    out = Console(file=io.StringIO(), width=160, highlight=False)
    show_keys(await read_page(blobs, KEYS, ApiKey, "", 50), out)
    assert isinstance(out.file, io.StringIO)
    lines = out.file.getvalue().splitlines()[1:]
    for line, one, words in zip(
        lines,
        known,
        (
            ("harbour, yard", "6,000", "by ada"),
            ("all", "any", "expired 2020-09-1"),
            ("by eve: it was stolen",),
            ("until 2096",),
        ),
        strict=True,
    ):
        assert one.id in line
        assert one.secret_sha256 not in line
        for word in words:
            assert word in line


# ---- the audit log


async def heard(place: Place, *events: AccessEvent) -> None:
    for number, event in enumerate(events, start=1):
        await place.broker.ensure_stream(event.stream)
        envelope = Envelope(event=event, id=f"id of {event}", source="test", time_ms=1_790_000_000_000 + number * 1000)
        await place.broker.publisher(event.stream, "test").publish([(number, envelope.to_message())])


FETCHED = ResourceFetched(kind="device", name="kiosk", resource="grant of m1", sha256="0" * 64, size_bytes=70_000)
LOG: tuple[AccessEvent, ...] = (
    AccessGiven(kind="device", name="kiosk", by="ada", why="for the lobby"),
    GrantMade(device="kiosk", model="m1"),
    FETCHED,
    ResourceStored(name="ada", resource="maps/a.png", sha256="0" * 64, size_bytes=5),
    AccessRefused(kind="unknown", name="", rule="token-unknown", times=12),
    AccessRevoked(kind="device", name="kiosk", by="eve", why="it was stolen"),
)


async def test_the_audit_log_says_who_did_what_and_when(place: Place) -> None:
    await heard(place, *LOG)
    log = await read_log(place, None, 0, 0)
    out = Console(file=io.StringIO(), width=160, highlight=False)
    show_entries(log.entries, log.more, out)
    assert isinstance(out.file, io.StringIO)
    lines = [" ".join(line.split()) for line in out.file.getvalue().splitlines()]
    for end, line in zip(
        (
            "kiosk device added by ada: for the lobby",
            "kiosk device grant of m1",
            "kiosk device fetched grant of m1 (70,000 bytes)",
            "ada user stored maps/a.png (5 bytes)",
            "- refused 12 times: token-unknown",
            "kiosk device revoked by eve: it was stolen",
        ),
        lines[1:],
        strict=True,
    ):
        assert line.endswith(end)


async def test_the_audit_log_of_one_device_shows_each_entry_once_and_the_newest(place: Place) -> None:
    await heard(place, *LOG, FETCHED)
    log = await read_log(place, "kiosk", 0, 2)
    assert [entry.event.type for entry in log.entries] == ["resource.fetched", "access.revoked"]
    assert log.more == 2
    late = await read_log(place, "kiosk", 1_790_000_003_000, 0)
    assert [entry.event.type for entry in late.entries] == ["resource.fetched", "access.revoked"]
    assert json.loads(json.dumps(late.entries[1].as_json()))["why"] == "it was stolen"


async def test_a_log_of_which_nothing_was_said_yet_is_empty(place: Place) -> None:
    await place.broker.ensure_stream(ACCESS_EVENTS)
    assert await read_log(place, None, 0, 0) == Log((), 0)
    assert await last_fetches(place) == {}


async def test_the_last_fetch_of_each_device_is_found(place: Place) -> None:
    await heard(place, *LOG, FETCHED.model_copy(update={"resource": "grant of m2"}))
    assert await last_fetches(place) == {"kiosk": 1_790_000_007_000}


def test_a_private_key_that_is_given_as_the_public_one_is_neither_sent_nor_shown_again() -> None:
    private = new_identity()[0]
    for given in (private, private.lower()):
        done = CliRunner().invoke(app, ["devices", "add", "kiosk", "--recipient", given])
        assert done.exit_code == 2
        assert "age1" in done.output
        assert given not in done.output
        assert given[20:40] not in "".join(done.output.split())
