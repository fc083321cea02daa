"""Devices are let in and out by requests, and nothing but their record and their grants changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.access.devices import read_devices
from labelstream import keys
from labelstream.access import Device
from labelstream.errors import Misconfigured, Unavailable
from labelstream.events.access import AccessEvent, AccessGiven, AccessRevoked
from labelstream.model_requests import AddDevice, Answer, RevokeDevice
from labelstream.protection.sealing import new_identity, recipient_of

from .world import PROJECT, World, device, everything

IDENTITY = new_identity()[0]
KIOSK = device("kiosk", IDENTITY)


async def record(world: World, name: str = "kiosk") -> Device:
    return Device.model_validate_json((await world.resources.get(keys.device(name))).data)


async def test_an_added_device_is_recorded_with_who_added_it_and_the_audit_log_says_so(world: World) -> None:
    assert await world.ask(AddDevice(device=KIOSK), by="ada", why="for the lobby") == Answer(outcome="done")
    kept = await record(world)
    assert (kept.recipient, kept.added_by, kept.revoked) == (recipient_of(IDENTITY), "ada", None)
    assert kept.added_ms > 0
    assert world.events(AccessEvent) == [AccessGiven(kind="device", name="kiosk", by="ada", why="for the lobby")]
    assert world.heard_of == {PROJECT}


async def test_a_device_to_which_nothing_can_be_sealed_is_refused(world: World) -> None:
    wrong = KIOSK.model_copy(update={"recipient": KIOSK.recipient[:-1] + "b"})
    answer = await world.ask(AddDevice(device=wrong))
    assert (answer.outcome, answer.rule) == ("refused", "seal.bad_recipient")
    assert not everything(world.resources)
    assert not world.events(AccessEvent)


async def test_a_key_of_a_plugin_that_the_exporter_lacks_is_refused_by_the_plugins_name(world: World) -> None:
    recipient = "age1nowhere1qqqsyqcyq5rqwzqf26wncy"  # of age-plugin-nowhere
    answer = await world.ask(AddDevice(device=KIOSK.model_copy(update={"recipient": recipient})))
    assert (answer.outcome, answer.rule) == ("refused", "seal.no_plugin")
    assert "age-plugin-nowhere" in f"{answer.reason} {answer.hint}"


@pytest.mark.parametrize("days", [0, 1e12, float("inf")])
async def test_grants_that_end_on_no_date_are_refused(world: World, days: float) -> None:
    answer = await world.ask(AddDevice(device=KIOSK.model_copy(update={"grant_days": days})))
    assert (answer.outcome, answer.rule) == ("refused", "request.unreadable")
    assert "grant_days" in answer.reason
    assert not everything(world.resources)


async def test_a_name_that_is_there_is_refused_unless_it_is_to_be_replaced(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    other = device("kiosk", new_identity()[0])
    refused = await world.ask(AddDevice(device=other))
    assert (refused.outcome, refused.rule) == ("refused", "device.exists")
    assert (await record(world)).recipient == KIOSK.recipient
    assert (await world.ask(AddDevice(device=other, replace=True))).outcome == "done"
    assert (await record(world)).recipient == other.recipient
    assert [event.replaced for event in world.events(AccessGiven)] == [False, True]


async def test_the_same_again_is_known_and_not_said_twice(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    before = everything(world.resources)
    assert (await world.ask(AddDevice(device=KIOSK))).outcome == "known"
    assert everything(world.resources) == before
    assert len(world.said) == 1


async def test_two_devices_never_share_a_token(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    door = device("door", new_identity()[0], token_sha256=KIOSK.token_sha256)
    answer = await world.ask(AddDevice(device=door))
    assert (answer.rule, answer.reason) == ("device.not_unique", "door would have the same token as kiosk")


async def test_replacing_a_device_takes_the_grants_of_its_older_key_back(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    await world.publish("m1")
    await world.ask_for_grant("m1", "kiosk")
    identity = new_identity()[0]
    await world.ask(AddDevice(device=device("kiosk", identity), replace=True))
    assert await world.granted("m1", "kiosk") is None
    await world.ask_for_grant("m1", "kiosk")
    assert (await world.open("m1", identity, await world.granted("m1", "kiosk"))).artifacts


async def test_a_revoked_device_loses_its_grants_and_gets_none(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    await world.publish("m1")
    await world.ask_for_grant("m1", "kiosk")
    answer = await world.ask(RevokeDevice(name="kiosk"), by="eve", why="it was stolen")
    assert answer == Answer(outcome="done")
    ended = (await record(world)).revoked
    assert ended is not None
    assert (ended.by, ended.why) == ("eve", "it was stolen")
    assert world.events(AccessRevoked) == [AccessRevoked(kind="device", name="kiosk", by="eve", why="it was stolen")]
    await world.ask_for_grant("m1", "kiosk")
    assert await world.granted("m1", "kiosk") is None


async def test_revoking_again_is_known_and_keeps_the_first_reason(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    await world.ask(RevokeDevice(name="kiosk"), by="eve", why="it was stolen")
    assert (await world.ask(RevokeDevice(name="kiosk"), by="bob", why="again")).outcome == "known"
    assert [(event.by, event.why) for event in world.events(AccessRevoked)] == [("eve", "it was stolen")]


async def test_a_revocation_that_was_cut_off_after_the_record_is_completed_when_it_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.ask(AddDevice(device=KIOSK))
    await world.publish("m1")
    await world.ask_for_grant("m1", "kiosk")

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("object store", "it went away")

    with monkeypatch.context() as patched:
        patched.setattr(world.resources, "delete", away)
        with pytest.raises(Unavailable):
            await world.ask(RevokeDevice(name="kiosk"), by="eve", why="it was stolen")
    assert (await record(world)).revoked is not None
    assert await world.granted("m1", "kiosk") is not None
    await world.ask(RevokeDevice(name="kiosk"), by="eve", why="it was stolen")
    assert await world.granted("m1", "kiosk") is None
    assert len(world.events(AccessRevoked)) == 1


async def test_a_revocation_says_why(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    assert (await world.ask(RevokeDevice(name="kiosk"))).rule == "device.no_reason"
    assert (await record(world)).revoked is None


async def test_an_unknown_device_can_not_be_revoked(world: World) -> None:
    assert (await world.ask(RevokeDevice(name="door"), why="lost")).rule == "device.unknown"


async def test_a_revoked_device_comes_back_only_by_being_replaced(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    await world.ask(RevokeDevice(name="kiosk"), why="lost")
    refused = await world.ask(AddDevice(device=KIOSK))
    assert (refused.rule, refused.reason) == ("device.exists", "there is a device kiosk already, which was revoked")
    assert (await world.ask(AddDevice(device=KIOSK, replace=True))).outcome == "done"
    assert (await record(world)).revoked is None


async def test_a_damaged_record_is_named_and_can_be_replaced(world: World) -> None:
    await world.resources.put(keys.device("kiosk"), b'{"name": "kiosk", "recipient": 7}')
    answer = await world.ask(AddDevice(device=KIOSK))
    assert answer.rule == "device.unreadable"
    assert "wrong or missing: recipient, token_sha256" in answer.reason
    assert (await world.ask(AddDevice(device=KIOSK, replace=True))).outcome == "done"
    assert await record(world)


async def test_adding_and_revoking_change_nothing_of_a_model(world: World) -> None:
    await world.ask(AddDevice(device=KIOSK))
    await world.publish("m1")
    await world.publish("m2")
    models, model_keys = everything(world.models), everything(world.resources, but=("/grants/", "devices/"))
    assert models
    assert len(model_keys) == 2
    door = device("door", new_identity()[0])
    await world.ask(AddDevice(device=door))
    for name in ("kiosk", "door"):
        await world.ask_for_grant("m1", name)
        await world.ask_for_grant("m2", name)
    await world.ask(RevokeDevice(name="kiosk"), why="lost")
    await world.ask(AddDevice(device=device("door", new_identity()[0]), replace=True))
    assert everything(world.models) == models
    assert everything(world.resources, but=("/grants/", "devices/")) == model_keys


# ---- the file of the settings


def written(path: Path, **recipients: str) -> Path:
    records = [
        {"name": name, "recipient": recipient, "token_sha256": f"{number:064d}"}
        for number, (name, recipient) in enumerate(recipients.items())
    ]
    path.write_text(json.dumps(records))
    return path


async def test_the_devices_of_the_settings_are_enrolled_like_others_once(world: World, tmp_path: Path) -> None:
    told = read_devices(written(tmp_path / "devices.json", kiosk=KIOSK.recipient))
    await world.devices.enrol_all(told, PROJECT)
    await world.devices.enrol_all(told, PROJECT)
    assert (await record(world)).added_by == "settings"
    assert [event.by for event in world.events(AccessGiven)] == ["settings"]
    assert len(world.said) == 1


async def test_a_device_of_the_settings_follows_its_file_until_a_person_decides(world: World, tmp_path: Path) -> None:
    first, second = (recipient_of(new_identity()[0]) for _ in range(2))
    await world.devices.enrol_all(read_devices(written(tmp_path / "first.json", kiosk=first)), PROJECT)
    await world.devices.enrol_all(read_devices(written(tmp_path / "second.json", kiosk=second)), PROJECT)
    assert (await record(world)).recipient == second
    await world.ask(AddDevice(device=KIOSK, replace=True), by="ada")
    await world.devices.enrol_all(read_devices(written(tmp_path / "second.json", kiosk=second)), PROJECT)
    assert (await record(world)).added_by == "ada"
    await world.ask(RevokeDevice(name="kiosk"), why="lost")
    await world.devices.enrol_all(read_devices(written(tmp_path / "second.json", kiosk=second)), PROJECT)
    assert (await record(world)).revoked is not None


async def test_a_record_of_before_reasons_were_kept_stays_revoked_or_not(world: World) -> None:
    plain = KIOSK.model_dump(mode="json")
    await world.resources.put(keys.device("kiosk"), json.dumps({**plain, "revoked": True}).encode())
    await world.devices.enrol_all([KIOSK], PROJECT)
    assert json.loads((await world.resources.get(keys.device("kiosk"))).data)["revoked"] is True
    await world.resources.put(keys.device("kiosk"), json.dumps({**plain, "revoked": False}).encode())
    await world.publish("m1")
    await world.ask_for_grant("m1", "kiosk")
    assert await world.granted("m1", "kiosk")


def test_a_device_of_the_file_to_which_nothing_can_be_sealed_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "devices.json", kiosk=KIOSK.recipient, door=KIOSK.recipient[:-1] + "b")
    with pytest.raises(Misconfigured, match=r"device door: .*age"):
        read_devices(path)


async def test_two_devices_of_the_file_with_one_token_stop_the_start(world: World) -> None:
    door = device("door", new_identity()[0], token_sha256=KIOSK.token_sha256)
    with pytest.raises(Misconfigured, match=r"the device door of the settings .* same token as kiosk"):
        await world.devices.enrol_all([KIOSK, door], PROJECT)
