"""Rendering in worker processes: C decoders crash, and one core is not enough."""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Self

from augmenter.recipe import Recipe
from augmenter.rendering import Modes, Rendering
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from labelstream.processes import ATTEMPTS, Crashed, Processes, TookTooLong

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them
KEPT_BYTES = 128 << 20  # that a process has free
LARGEST_KEPT_BYTES = 32 << 20  # the library's limit: larger arrays go back at once


class RenderPool:
    """Turns encoded images into variants, several at a time."""

    def __init__(self, workers: int, timeout_s: float = 120) -> None:
        """Start `workers` processes when the first image comes; one image may take `timeout_s`."""
        self._processes = Processes(workers, timeout_s, prepare=_prepare)
        self._timeout_s = timeout_s
        self.workers = workers

    async def render(
        self, encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe, modes: Modes
    ) -> Rendering:
        """Return the variants and the original's perceptual hash. Raises Rejected for a bad image."""
        try:
            return await self._processes.run(_render, encoded, image, shapes, recipe, modes)
        except TookTooLong as error:
            reason = f"the image took longer than {self._timeout_s:g} s"
            raise Rejected("image.slow", reason, "Send a smaller image.") from error
        except Crashed as error:
            reason = f"the image crashed its worker {ATTEMPTS} times"
            raise Rejected("image.crash", reason, "Send it in another format.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the workers."""
        self._processes.close()


def _prepare() -> None:
    """Prepare a worker: one thread each, and everything imported."""
    import cv2  # noqa: PLC0415

    import augmenter.render  # noqa: F401, PLC0415  # only workers pay for it, and before their first image's time runs

    cv2.setNumThreads(1)
    _keep_memory()


def _keep_memory() -> None:
    """Let the C library keep freed pixels for the next variant: given back and fetched again they cost a tenth more."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's own
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        set_option(_M_TRIM_THRESHOLD, KEPT_BYTES)


def _render(encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe, modes: Modes) -> Rendering:
    from augmenter.render import render  # noqa: PLC0415  # only workers pay for OpenCV and albumentations

    try:
        rendering = render(encoded, image, shapes, recipe, modes)
        _ = [one.sha256 for one in rendering.variants]  # here, where there are as many processes as cores
        return rendering
    except Rejected:
        raise
    except Exception as error:  # whatever the libraries raise is this sample's own fault, and the others go on
        reason = f"{type(error).__name__}: {error}"
        raise Rejected("image.failed", reason, "Look at its boxes, or send it in another format.") from error
