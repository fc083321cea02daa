"""Grants are made from what the resources bucket keeps of each model."""

import json
from pathlib import Path

import pytest

from exporter.granting import Device, Granting, read_devices
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import ModelKey
from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.grants import open_grant, seal_model_key
from labelstream.protection.sealing import new_identity, recipient_of

PROJECT, MODEL = "default", "0" * 32


@pytest.fixture
def device_identity() -> str:
    return new_identity()[0]


@pytest.fixture
def resources() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
async def granting(resources: MemoryBlobs, device_identity: str) -> Granting:
    made = Granting(resources, new_identity()[0])
    await made.enrol_all([Device(name="kiosk", recipient=recipient_of(device_identity), token_sha256="0" * 64)])
    return made


async def _keep_key(resources: MemoryBlobs, vault_identity: str) -> ModelKey:
    key = ModelKey(model=MODEL, project=PROJECT, identity=new_identity()[0], small_parts={"onnx-fp32.age": b"small"})
    await resources.put(keys.model_key(PROJECT, MODEL), seal_model_key(key, recipient_of(vault_identity)))
    return key


async def test_a_grant_lets_its_device_alone_have_the_models_key(
    resources: MemoryBlobs, granting: Granting, device_identity: str
) -> None:
    key = await _keep_key(resources, granting.vault_identity)
    await granting.grant_all(PROJECT, MODEL)
    grant = (await resources.get(keys.grant(PROJECT, MODEL, "kiosk"))).data
    assert open_grant(grant, device_identity, now_ms=0).identity == key.identity
    with pytest.raises(Rejected, match=r"grant\.not_for_us"):
        open_grant(grant, new_identity()[0], now_ms=0)


async def test_a_model_whose_key_is_lost_can_not_be_granted(granting: Granting) -> None:
    with pytest.raises(Rejected, match=r"grant\.no_model_key"):
        await granting.grant_all(PROJECT, MODEL)


async def test_a_model_whose_key_is_sealed_to_another_vault_can_not_be_granted(
    resources: MemoryBlobs, granting: Granting
) -> None:
    await _keep_key(resources, new_identity()[0])
    with pytest.raises(Rejected):
        await granting.grant_all(PROJECT, MODEL)


def _devices(path: Path, **recipients: str) -> Path:
    records = [
        {"name": name, "recipient": recipient, "token_sha256": "0" * 64} for name, recipient in recipients.items()
    ]
    path.write_text(json.dumps(records))
    return path


def test_devices_are_read_from_their_file(tmp_path: Path, device_identity: str) -> None:
    path = _devices(tmp_path / "devices.json", kiosk=recipient_of(device_identity))
    assert [(device.name, device.revoked) for device in read_devices(path)] == [("kiosk", False)]


def test_a_device_to_which_nothing_can_be_sealed_is_named(tmp_path: Path, device_identity: str) -> None:
    wrong = recipient_of(device_identity)[:-1] + "b"
    path = _devices(tmp_path / "devices.json", kiosk=recipient_of(device_identity), door=wrong)
    with pytest.raises(Misconfigured, match=r"device door: .*is not an age public key"):
        read_devices(path)
