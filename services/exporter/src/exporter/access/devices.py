"""Enrols and revokes devices: on request, and from the file that a stack starts with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from exporter.access.admitting import Admitting, Asking, Outcome
from exporter.access.granting import Granting
from exporter.access.known import KnownDevices
from exporter.access.records import DEVICES, Records
from labelstream.access import Device
from labelstream.errors import Misconfigured, Rejected
from labelstream.model_requests import AddDevice, Answer, ModelRequest, RevokeDevice
from labelstream.protection.sealing import seal

SETTINGS = "settings"  # who adds the devices of the file

log = structlog.get_logger()


@dataclass(frozen=True)
class Devices:
    """The devices that may have models. Every method raises Unavailable."""

    granting: Granting
    admitting: Admitting[Device]

    @classmethod
    def of(cls, granting: Granting) -> Devices:
        """Return the devices whose grants are made by `granting`."""
        resources = granting.resources
        known = KnownDevices(resources, granting.health, max_age_s=0)
        return cls(granting, Admitting(Records(resources, DEVICES), known, granting.say, granting.take_back))

    async def add(self, device: Device, asking: Asking, *, replace: bool) -> Outcome:
        """Enrol a device. Raises Rejected: above all when nothing can be sealed to it, as no grant could be either."""
        await asyncio.to_thread(seal, b"\0", [device.recipient])
        async with self.granting.alone(device.name):
            return await self.admitting.admit(device, asking, replace=replace)

    async def revoke(self, name: str, asking: Asking) -> Outcome:
        """End a device's access: its grants are deleted, and none is made any more. Raises Rejected."""
        async with self.granting.alone(name):
            return await self.admitting.end(name, asking)

    async def enrol_all(self, devices: Sequence[Device], project: str) -> None:
        """Enrol the devices of the settings; what a person decided since stays as it is. Raises Misconfigured."""
        for device in devices:
            kept = await self.admitting.records.look(device.name)
            record = kept.record if kept is not None else None
            if record is not None and (record.revoked is not None or record.added_by not in (SETTINGS, "")):
                continue
            try:
                await self.add(device, Asking(SETTINGS, project=project), replace=record is not None)
            except Rejected as error:
                raise Misconfigured(f"the device {device.name} of the settings can't be enrolled: {error}") from error


@dataclass(frozen=True)
class AddingDevice:
    """Answers requests to add a device."""

    devices: Devices

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Add it. Raises Rejected, Unavailable."""
        asked = request.what
        assert isinstance(asked, AddDevice)  # noqa: S101  # as the requests are dispatched
        return Answer(outcome=await self.devices.add(asked.device, asking_of(project, request), replace=asked.replace))


@dataclass(frozen=True)
class RevokingDevice:
    """Answers requests to revoke a device."""

    devices: Devices

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Revoke it. Raises Rejected, Unavailable."""
        asked = request.what
        assert isinstance(asked, RevokeDevice)  # noqa: S101  # as the requests are dispatched
        return Answer(outcome=await self.devices.revoke(asked.name, asking_of(project, request)))


def asking_of(project: str, request: ModelRequest) -> Asking:
    """Return who asks for what a request asks for."""
    return Asking(request.by, request.why, project, request.answer or "")


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
