"""What lies in public opens with nobody's key: a device needs a grant beside its own."""

from __future__ import annotations

import pytest

from labelstream import keys
from labelstream.errors import Rejected
from labelstream.model_requests import AddDevice
from labelstream.protection.grants import open_grant
from labelstream.protection.sealing import Tampered, new_identity, open_sealed, seal
from labelstream.protection.splitting import join, split

from .world import PROJECT, WEIGHTS, World, device, everything


@pytest.mark.parametrize("number", [1, 30, 500])
async def test_with_the_keys_of_all_devices_the_public_parts_yield_nothing(world: World, number: int) -> None:
    identities = [new_identity()[0] for _ in range(number)]
    for index, identity in enumerate(identities):
        record = device(f"d{index}", identity)
        await world.resources.put(keys.device(record.name), record.model_dump_json().encode())
    await world.publish("m1")
    every_key = "\n".join(identities)
    header = split(seal(WEIGHTS, [device("d0", identities[0]).recipient])).small  # whose key the thief has
    public = everything(world.models)
    assert any(key.endswith(".big") for key in public)
    for data in public.values():
        with pytest.raises(Tampered):
            open_sealed(data, every_key)
        with pytest.raises(Tampered):
            open_sealed(join(header, data), every_key)
    assert not any(WEIGHTS[:4096] in data for data in public.values())


async def test_the_grant_of_one_model_opens_no_other(world: World) -> None:
    identity = new_identity()[0]
    await world.ask(AddDevice(device=device("kiosk", identity)))
    for model in ("m1", "m2"):
        await world.publish(model)
    await world.ask_for_grant("m1", "kiosk")
    grant = await world.granted("m1", "kiosk")
    assert grant is not None
    content = open_grant(grant, identity, now_ms=0)
    big = (await world.models.get(keys.big_part(PROJECT, "m2", "onnx-fp32.age"))).data
    with pytest.raises(Tampered):
        open_sealed(join(content.small_parts["onnx-fp32.age"], big), content.identity)
    with pytest.raises(Rejected):
        await world.open("m2", identity, grant)
