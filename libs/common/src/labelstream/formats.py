"""The formats that trained weights are exported to, each by its name: family, precision, then what is special.

onnx-fp32              raw output, a batch of any size
onnx-fp32-b4           raw output, a batch of exactly four images
onnx-fp32-nms-b1       overlaps are suppressed in the graph
openvino-bf16          the precision is asked for when the network is loaded
openvino-fp32-u8       takes pixels as decoders give them: bytes, blue first; the scaling is in the graph
tensorrt-fp16-sm_90    an engine of one GPU architecture
rknn-int8-rk3588       a network of one NPU
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Family = Literal["onnx", "openvino", "torchscript", "tensorrt", "rknn"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]

PRECISIONS: dict[Family, tuple[Precision, ...]] = {
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
    "torchscript": ("fp32",),
    "tensorrt": ("fp16", "int8"),
    "rknn": ("fp16", "int8"),
}
TARGETS: dict[Family, str] = {"tensorrt": r"sm_\d{2,3}", "rknn": r"rk\d{4}[a-z]?"}  # hardware that a file is made for
PIXELS: frozenset[Family] = frozenset({"onnx", "openvino", "tensorrt"})  # families whose graphs may take bytes (u8)
_EXAMPLES = "onnx-fp32, onnx-fp32-nms-b1, openvino-int8-u8, torchscript-fp32, tensorrt-fp16-sm_90, rknn-int8-rk3588"


@dataclass(frozen=True)
class Format:
    """One format of the weights."""

    family: Family
    precision: Precision
    nms: bool = False  # overlaps are suppressed in the graph
    batch: int | None = None  # exactly so many images at once; None: any number
    target: str | None = None  # the hardware that it is made for
    u8: bool = False  # takes pixels as decoders give them; the scaling is in the graph

    @classmethod
    def parse(cls, name: str) -> Format:
        """Read a name. Raises ValueError, which says what is wrong with it and shows some that are right."""
        called, _, rest = name.partition("-")
        precise, *special = rest.split("-")
        family = next((each for each in PRECISIONS if each == called), None)
        if family is None:
            raise ValueError(f"{name!r} is no format: known families are {', '.join(PRECISIONS)}; e.g. {_EXAMPLES}")
        precision = next((each for each in PRECISIONS[family] if each == precise), None)
        if precision is None:
            raise ValueError(f"{name!r} is no format: {family} comes in {', '.join(PRECISIONS[family])}")
        batch, target = None, None
        for part in special:
            if re.fullmatch(r"b[1-9]\d{0,2}", part):
                batch = int(part[1:])
            elif family in TARGETS and re.fullmatch(TARGETS[family], part):
                target = part
            elif part not in ("nms", "u8"):
                raise ValueError(f"{name!r} is no format: it can't be {part!r}; right are e.g. {_EXAMPLES}")
        found = cls(family, precision, "nms" in special, batch, target, "u8" in special)
        if problem := found._problem():
            raise ValueError(f"{name!r} is no format: {problem}")
        if found.name != name:
            raise ValueError(f"{name!r} is no format, though {found.name!r} is")
        return found

    def _problem(self) -> str | None:
        if (self.nms or self.batch) and self.family != "onnx":
            return "only onnx can have overlaps suppressed in the graph, or a batch of its own"
        if self.u8 and self.family not in PIXELS:
            return f"only {', '.join(sorted(PIXELS))} can take bytes (u8)"
        if self.family in TARGETS and self.target is None:
            return f"{self.family} names the hardware, such as {'sm_90' if self.family == 'tensorrt' else 'rk3588'}"
        return None

    @property
    def name(self) -> str:
        """The format's one name."""
        u8, nms = "u8" if self.u8 else None, "nms" if self.nms else None
        batch = f"b{self.batch}" if self.batch else None
        parts = (self.family, self.precision, u8, nms, batch, self.target)
        return "-".join(part for part in parts if part)

    @property
    def queue(self) -> str:
        """Where its jobs wait for a worker that can build it."""
        return queue_of(self.family, self.target)


def queue_of(family: str, target: str | None = None) -> str:
    """Return the queue of the jobs for a family, and for one piece of hardware where files are made for one."""
    return f"jobs.export.{family}" + (f".{target}" if target else "")
