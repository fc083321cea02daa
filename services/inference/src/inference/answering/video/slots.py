"""Memory that the decoder's process writes frames into, and the workers read them from."""

from __future__ import annotations

import fcntl
import mmap
import os

import cv2
import numpy as np

from inference.answering.video.messages import FrameLies
from inference.engine.geometry import Pixels
from labelstream.errors import Rejected

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_PADDING = 4 << 20  # lines are longer than their pixels


class Slots:
    """A fixed number of places for frames. Only what has been written takes memory."""

    def __init__(self, count: int, most_pixels: int) -> None:
        self.count = count
        self.each_bytes = -(-(3 * most_pixels + _PADDING) // mmap.PAGESIZE) * mmap.PAGESIZE
        self.descriptor = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, count * self.each_bytes)
            # Nobody, the decoder's process included, takes memory away under a worker's hands any more.
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self._memory = mmap.mmap(self.descriptor, count * self.each_bytes, prot=mmap.PROT_READ)
        except BaseException:
            os.close(self.descriptor)
            raise

    def look(self, frame: FrameLies) -> Pixels:
        """Return a frame where it lies: (height, width, 3) BGR; one that is not upright is copied. Raises Rejected."""
        if frame.slot >= self.count or not self._fits(frame):
            raise Rejected("video.decoder_died", "the decoder tells of a frame that can't be there", _HINT)
        at = frame.slot * self.each_bytes
        lines = np.ndarray((frame.height, frame.line_bytes), np.uint8, self._memory, at)
        pixels = np.lib.stride_tricks.as_strided(
            lines, (frame.height, frame.width, 3), (frame.line_bytes, 3, 1), writeable=False
        )
        return cv2.rotate(pixels, _TURNS[frame.turned]) if frame.turned else pixels

    def close(self) -> None:
        """Let the memory go, as soon as no worker looks at it any more."""
        os.close(self.descriptor)
        del self._memory

    def _fits(self, frame: FrameLies) -> bool:
        return 3 * frame.width <= frame.line_bytes and frame.line_bytes * frame.height <= self.each_bytes


_HINT = "Save the video again, and send the new file."
