"""What a training works on."""

from __future__ import annotations

import torch

from labelstream_yolo.engine import EngineFailure


def settled(device: str) -> str:
    """Return `device` as ultralytics means it: the first accelerator or the CPU for `auto`.

    Raises EngineFailure (`device-missing`).
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "0" if count else "cpu"
    if device != "cpu":
        asked = device.split(",")
        if not all(number.isdigit() and int(number) < count for number in asked) or len(set(asked)) < len(asked):
            raise EngineFailure("device-missing", f"device = {device!r}: this machine has {count} accelerators")
    return device


def in_words(device: str) -> str:
    """Return what `device`, a settled one, is called."""
    if device == "cpu":
        return "CPU"
    names = [torch.cuda.get_device_name(int(number)) for number in device.split(",")]
    return ", ".join(
        f"{names.count(name)} × {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)
    )
