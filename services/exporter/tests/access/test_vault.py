"""The vault's keys are exchanged without a gap, and without a model being touched."""

from __future__ import annotations

import pytest

from exporter.access.vault import Vault
from labelstream import keys
from labelstream.errors import Misconfigured, Rejected
from labelstream.model_requests import AddDevice
from labelstream.protection.sealing import new_identity

from .world import PROJECT, World, device, everything

DEVICE = new_identity()[0]


async def opens(world: World, model: str) -> bool:
    await world.resources.delete(keys.grant(PROJECT, model, "kiosk"))
    await world.ask_for_grant(model, "kiosk")
    grant = await world.granted(model, "kiosk")
    return grant is not None and bool((await world.open(model, DEVICE, grant)).artifacts)


async def test_after_a_rotation_the_older_identity_is_needed_no_more(world: World) -> None:
    await world.ask(AddDevice(device=device("kiosk", DEVICE)))
    await world.publish("m1")
    old, new = world.vault_text, new_identity()[0]
    world.vault_text = f"# from today on\n{new}\n# until now\n{old}\n"
    world.start()
    assert await opens(world, "m1")
    await world.publish("m2")
    models = everything(world.models)
    assert await world.vault.reseal_all(world.book) == 1  # the second model was sealed to the new one already
    assert await world.vault.reseal_all(world.book) == 0
    world.vault_text = new
    world.start()
    assert await opens(world, "m1")
    assert await opens(world, "m2")
    assert everything(world.models) == models
    world.vault_text = old
    world.start()
    with pytest.raises(Rejected):
        await world.vault.open(PROJECT, "m1")


async def test_a_key_that_is_lost_or_opens_with_none_of_ours_stops_no_other(world: World) -> None:
    for model in ("m1", "m2", "m3"):
        await world.publish(model)
    await world.resources.delete(keys.model_key(PROJECT, "m1"))
    await world.resources.put(keys.model_key(PROJECT, "m2"), b"rubbish")
    world.vault_text = f"{new_identity()[0]}\n{world.vault_text}"
    world.start()
    assert await world.vault.reseal_all(world.book) == 1


async def test_with_one_identity_nothing_is_read_at_start(world: World) -> None:
    await world.publish("m1")
    world.resources.away = "it is away"
    assert await world.vault.reseal_all(world.book) == 0


@pytest.mark.parametrize("text", ["", "# a comment alone\n", "AGE-SECRET-KEY-1WRONG"], ids=["none", "comment", "wrong"])
async def test_a_vault_without_a_key_that_can_be_used_is_misconfigured(world: World, text: str) -> None:
    with pytest.raises(Misconfigured, match="VAULT_IDENTITY") as told:
        Vault.read(text, world.resources)
    assert "WRONG" not in str(told.value)
