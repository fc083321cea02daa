"""Enrols devices and makes their grants, so that the public API only hands out what is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import Field, TypeAdapter, ValidationError

from labelstream import keys
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.bundle import ModelKey
from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.grants import grant_content, make_grant, open_model_key
from labelstream.protection.sealing import seal
from labelstream.values import Sha256, Value

log = structlog.get_logger()


class Device(Value):
    """A device that may fetch grants."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    recipient: str = Field(description="its age public key; the private one never leaves the device")
    token_sha256: Sha256 = Field(description="of the token that it shows to the API")
    revoked: bool = False


def read_devices(path: Path) -> list[Device]:
    """Read the devices to enrol from a JSON file. Raises Misconfigured."""
    try:
        devices = TypeAdapter(list[Device]).validate_python(json.loads(path.read_text()))
    except (OSError, ValueError, ValidationError) as error:
        raise Misconfigured(f"the devices file {path} can't be used: {error}") from error
    for device in devices:
        _try_to_seal(path, device)
    return devices


def _try_to_seal(path: Path, device: Device) -> None:
    """Raise Misconfigured when nothing can be sealed to the device: no grant could be either."""
    try:
        seal(b"\0", [device.recipient])
    except Rejected as error:
        raise Misconfigured(f"the devices file {path} can't be used: device {device.name}: {error}") from error


async def enrolled(resources: Blobs) -> list[Device]:
    """Return the devices that are not revoked. Raises Unavailable."""
    found = [info.key async for info in resources.list("devices/")]
    records = [Device.model_validate_json((await resources.get(key)).data) for key in found]
    return [device for device in records if not device.revoked]


@dataclass(frozen=True)
class Granting:
    """Makes grants. Every method raises Unavailable when the store is away."""

    resources: Blobs
    vault_identity: str

    async def enrol_all(self, devices: Sequence[Device]) -> None:
        """Record devices; one that is recorded already keeps what stands there, so a revocation stays."""
        for device in devices:
            if await self.resources.create(keys.device(device.name), device.model_dump_json().encode()):
                log.info("device.enrolled", device=device.name)

    async def grant_all(self, project: str, model: str) -> None:
        """Make the grants of a model that are missing. Raises Rejected when its key is lost or does not open."""
        missing = [
            device
            for device in await enrolled(self.resources)
            if await self.resources.head(keys.grant(project, model, device.name)) is None
        ]
        if not missing:
            return
        key = await self._model_key(project, model)
        for device in missing:
            grant = make_grant(grant_content(key, device.name), device.recipient)
            await self.resources.put(keys.grant(project, model, device.name), grant)
            log.info("grant.made", project=project, model=model, device=device.name)

    async def _model_key(self, project: str, model: str) -> ModelKey:
        where = keys.model_key(project, model)
        try:
            sealed = await self.resources.get(where)
        except BlobNotFound as error:
            raise Rejected(
                "grant.no_model_key", f"the store has no {where}", "Restore the object, or export the model again."
            ) from error
        return open_model_key(sealed.data, self.vault_identity)
