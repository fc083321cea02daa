"""The decoder's process: `python -I -m inference.answering.video.child ORDER`.

It writes frames into shared memory and a line of JSON for each to its output; a byte of its input is the number of a
slot that is free again. What it opens may be made to break decoders, so before it opens anything it gives up sockets,
files and new processes, and it ends with its parent.
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable

import av
import av.audio.stream  # these two would be loaded with the first file, when no module can be opened any more
import av.logging
import av.subtitles.stream
from av.video.reformatter import VideoReformatter

from inference.answering.video.container import check_pixels, open_video
from inference.answering.video.decoding import Decoding, Shown
from inference.answering.video.order import Order
from labelstream.confinement import DECODER, confine
from labelstream.errors import Rejected

_PR_SET_PDEATHSIG = 1
_ALIVE_EACH_S = 1.0
_BASE_BYTES = 512 << 20
_BYTES_EACH_PIXEL = 40  # some 16 frames that later ones refer to, one and a half bytes a pixel, and work in progress
_CPU_BASE_S, _CPU_EACH_FRAME_S = 60, 0.5


def main(order: Order) -> None:
    """Decode, and say how it ended."""
    _limit(order)
    memory = mmap.mmap(order.memory, order.slots * order.slot_bytes)
    with os.fdopen(order.video, "rb", buffering=0) as file:
        try:
            decoding = Decoding(open_video(file, order), order, _every(_ALIVE_EACH_S, lambda: _say({"kind": "alive"})))
            write = Writing(memory, order)
            for shown in decoding.frames():
                write(shown)
        except Rejected as error:
            _say({"kind": "refused", **_told(error)})
            return
        trouble = decoding.trouble()
    told = {"kind": "ended", "frames": decoding.gone_through, "trouble": _told(trouble) if trouble else None}
    _say(told)


class Writing:
    """Writes frames into slots that are free."""

    def __init__(self, memory: mmap.mmap, order: Order) -> None:
        self._memory = memory
        self._order = order
        self._free = list(range(order.slots))
        self._reformatter = VideoReformatter()

    def __call__(self, shown: Shown) -> None:
        """Write a frame and say so; wait for a slot where none is free. Raises Rejected."""
        while not self._free:
            freed = os.read(0, 64)
            if not freed:
                sys.exit(0)  # nobody wants more
            self._free.extend(freed)
        slot = self._free.pop()
        pixels = self._reformatter.reformat(shown.frame, format="bgr24", threads=1)
        plane = pixels.planes[0]
        size_bytes = plane.line_size * pixels.height
        if size_bytes > self._order.slot_bytes:
            check_pixels(plane.line_size // 3, pixels.height, self._order)
        at = slot * self._order.slot_bytes
        self._memory[at : at + size_bytes] = memoryview(plane)[:size_bytes]
        _say(
            {
                "kind": "frame",
                "slot": slot,
                "number": shown.number,
                "time_s": round(shown.time_s, 6) if math.isfinite(shown.time_s) else 0.0,
                "width": pixels.width,
                "height": pixels.height,
                "line_bytes": plane.line_size,
                "turned": -round(shown.frame.rotation / 90) % 4 * 90,
            }
        )


def _limit(order: Order) -> None:
    """Give up what decoding does not need, and end with the parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    av.logging.set_level(None)
    memory = _BASE_BYTES + _BYTES_EACH_PIXEL * order.most_pixels
    seconds = round(_CPU_BASE_S + _CPU_EACH_FRAME_S * order.most_frames)
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    confine(DECODER)


def _every(pause_s: float, say: Callable[[], None]) -> Callable[[], None]:
    """Return what calls `say`, but not more often than that."""
    last = time.monotonic()

    def maybe() -> None:
        nonlocal last
        if time.monotonic() - last > pause_s:
            last = time.monotonic()
            say()

    return maybe


def _told(error: Rejected) -> dict[str, str]:
    return {"rule": error.rule, "reason": error.reason[:500], "hint": error.hint[:500]}


def _say(message: dict[str, object]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    try:
        main(Order.from_json(sys.argv[1]))
    except MemoryError:
        refusal = Rejected("video.damaged", "decoding it takes more memory than its frames need", "Save it again.")
        _say({"kind": "refused", **_told(refusal)})
    except Exception:  # noqa: BLE001 -- a fault of ours: the parent logs it
        _say({"kind": "fault", "reason": traceback.format_exc()[-4000:]})
