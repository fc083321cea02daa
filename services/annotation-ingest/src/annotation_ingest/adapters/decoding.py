"""Decodes images in child processes, so that a decoder that crashes or hangs costs one message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from multiprocessing import get_context

from labelstream.errors import Rejected
from pebble import ProcessExpired, ProcessPool

from annotation_ingest.imaging import ACCEPTED, Picture, Refusal, look

Look = Callable[[bytes, int], Picture | Refusal]

TASKS_PER_CHILD = 5_000  # a leak in a decoder does not add up


class Decoders:
    """A pool of processes that look at images."""

    def __init__(self, processes: int, timeout_s: float, max_pixels: int, look: Look = look) -> None:
        self._pool = ProcessPool(max_workers=processes, max_tasks=TASKS_PER_CHILD, context=get_context("spawn"))
        self._timeout_s = timeout_s
        self._max_pixels = max_pixels
        self._look = look

    async def decode(self, data: bytes) -> Picture:
        """Return what the image is. Raises Rejected."""
        future = self._pool.schedule(self._look, args=[data, self._max_pixels], timeout=self._timeout_s)
        try:
            found: Picture | Refusal = await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise Rejected(
                "image.decoder_timeout",
                f"decoding the image ({len(data)} bytes) took longer than {self._timeout_s:g} s",
                f"Save it anew as a plain {ACCEPTED} file.",
            ) from error
        except ProcessExpired as error:
            raise Rejected(
                "image.decoder_crashed",
                f"decoding the image ({len(data)} bytes) ended the decoder with status {error.exitcode}",
                f"Save it anew as a plain {ACCEPTED} file.",
            ) from error
        if isinstance(found, Refusal):
            raise Rejected(found.rule, found.reason, found.hint)
        return found

    def close(self) -> None:
        """End the child processes."""
        self._pool.stop()
        self._pool.join()
