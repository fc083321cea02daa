"""Decodes images in child processes, so that a decoder that crashes or hangs costs one message."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from annotation_ingest.images.imaging import ACCEPTED, Picture, Refusal, look
from labelstream.errors import Rejected
from labelstream.processes import ATTEMPTS, Crashed, Processes, TookTooLong

Look = Callable[[bytes, int], Picture | Refusal]

IMAGES_EACH = 5_000  # a leak in a decoder does not add up
BASE_BYTES = 512 << 20  # for the interpreter, its libraries and the file itself
BYTES_EACH_PIXEL = 16  # the picture in four channels, the decoder's rows or coefficients, and a copy
HINT = f"Save it anew as a plain {ACCEPTED} file."


class Decoders:
    """A pool of processes that look at images."""

    def __init__(self, processes: int, timeout_s: float, max_pixels: int, look: Look = look) -> None:
        prepare = functools.partial(limit_memory, BASE_BYTES + BYTES_EACH_PIXEL * max_pixels)
        self._processes = Processes(processes, timeout_s, prepare=prepare, calls_each=IMAGES_EACH)
        self._timeout_s = timeout_s
        self._max_pixels = max_pixels
        self._look = look

    async def decode(self, data: bytes) -> Picture:
        """Return what the image is. Raises Rejected."""
        try:
            found = await self._processes.run(self._look, data, self._max_pixels)
        except TookTooLong as error:
            reason = f"decoding the image ({len(data)} bytes) took longer than {self._timeout_s:g} s"
            raise Rejected("image.decoder_timeout", reason, HINT) from error
        except MemoryError as error:
            reason = f"decoding the image ({len(data)} bytes) takes more memory than {self._max_pixels} pixels need"
            raise Rejected("image.undecodable", reason, HINT) from error
        except Crashed as error:
            reason = (
                f"decoding the image ({len(data)} bytes) ended {ATTEMPTS} decoders, "
                f"the last one with status {error.exitcode}"
            )
            raise Rejected("image.decoder_crashed", reason, HINT) from error
        if isinstance(found, Refusal):
            raise Rejected(found.rule, found.reason, found.hint)
        return found

    def close(self) -> None:
        """End the child processes."""
        self._processes.close()


def limit_memory(size_bytes: int) -> None:
    """Let this process allocate no more than that: a bomb is a refusal, and not the machine's last image.

    Only Linux counts what a process allocates (and not the libraries that it maps) against such a limit.
    """
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - other systems may have no such module

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        if most != resource.RLIM_INFINITY:
            size_bytes = min(size_bytes, most)
        resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, most))
