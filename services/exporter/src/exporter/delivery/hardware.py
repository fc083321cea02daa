"""The hardware-bound key of the documented Azaion forms, and the hardware that a request names.

Documented: the key is made of e-mail address, password and a hardware string (CPU, GPU, RAM, drive serial), and is the
base64 of a SHA-384; a file is then in the legacy form under that key string. Order and separators are not: here

    hardware   CPU;GPU;RAM;DRIVE            or, where the request names the hardware in one string, that string
    key        base64(SHA-384(E-MAIL-PASSWORD-HARDWARE))     each as it was sent, in UTF-8, joined by hyphens
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

_PARTS = (
    ("cpu", "processor"),
    ("gpu", "videocard"),
    ("ram", "memory"),
    ("driveserial", "drive", "serial", "serialnumber", "disk", "diskserial"),
)  # in their order, each by the names that it may have


def hardware_key(email: str, password: str, hardware: str) -> str:
    """Return the key string of a person's files on one machine."""
    joined = "-".join((email, password, hardware))
    return base64.b64encode(hashlib.sha384(joined.encode()).digest()).decode()


def hardware_string(told: object) -> str | None:
    """Return the hardware string of what a request says: a string, or a table with its parts. None: it says nothing."""
    if isinstance(told, str):
        return told or None
    if not isinstance(told, Mapping):
        return None
    fields = {plain(str(name)): value for name, value in told.items()}
    parts = [next((str(fields[name]) for name in names if fields.get(name) is not None), "") for names in _PARTS]
    return ";".join(parts) if any(parts) else None


def plain(name: str) -> str:
    """Return a field's name without case and punctuation: fileName, FileName and file_name are one."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def plainly(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with plain names."""
    return {plain(name): value for name, value in body.items()}
