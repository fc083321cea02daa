"""What a device may have, and how long a grant of it lasts."""

from __future__ import annotations

from datetime import timedelta

from labelstream.access import Device
from labelstream.blobs.ports import BlobInfo

_LEFT = 0.05  # of its time: a grant with less left is made anew for who asks, so that nobody fetches one that just ends


def may_have(device: Device, project: str) -> bool:
    """Say whether a device may have a project's models."""
    return device.revoked is None and (device.projects is None or project in device.projects)


def expires_ms(device: Device, now_ms: int) -> int | None:
    """Return when a grant ends that is made now; None when it does not."""
    if device.grant_days is None:
        return None
    return now_ms + round(timedelta(days=device.grant_days) / timedelta(milliseconds=1))


def is_spent(grant: BlobInfo, device: Device) -> bool:
    """Say whether a stored grant has ended, or is about to.

    Both times are the store's, so that no clock of ours matters: a grant is as old as its object.
    """
    if device.grant_days is None:
        return False
    return grant.store_time - grant.modified >= timedelta(days=device.grant_days) * (1 - _LEFT)
