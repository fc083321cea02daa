"""Rendering in worker processes: C decoders crash, and one core is not enough."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from pebble import ProcessExpired, ProcessPool

from augmenter.recipe import Recipe

ATTEMPTS = 3  # a worker may also die innocently, of a signal or of too little memory


@dataclass(frozen=True)
class _Refused:
    """A Rejected on its way between processes."""

    rule: str
    reason: str
    hint: str


class RenderPool:
    """Turns encoded images into variants, several at a time."""

    def __init__(self, workers: int, timeout_s: float = 120) -> None:
        """Start `workers` processes when the first image comes; one image may take `timeout_s`."""
        spawn = multiprocessing.get_context("spawn")  # a fork would copy our threads' locks
        self._pool = ProcessPool(max_workers=workers, initializer=_begin, context=spawn)
        self._timeout_s = timeout_s
        self.workers = workers

    async def render(
        self, encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe
    ) -> list[tuple[bytes, tuple[Shape, ...]]]:
        """Return (encoded image, shapes) of the original and of each variant. Raises Rejected for a bad image."""
        for _ in range(ATTEMPTS):
            future = self._pool.schedule(_render, args=(encoded, image, shapes, recipe), timeout=self._timeout_s)
            try:
                variants = await asyncio.wrap_future(future)
            except ProcessExpired:
                continue
            except TookTooLong as error:
                reason = f"the image took longer than {self._timeout_s:g} s"
                raise Rejected("image.slow", reason, "Send a smaller image.") from error
            if isinstance(variants, _Refused):
                raise Rejected(variants.rule, variants.reason, variants.hint)
            return [(encoded, shapes), *variants]
        raise Rejected("image.crash", f"the image crashed its worker {ATTEMPTS} times", "Send it in another format.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the workers."""
        self._pool.stop()
        self._pool.join()


def _begin() -> None:
    """Prepare a worker: an end with the parent, however that came, one thread each, and everything imported."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
    import cv2  # noqa: PLC0415

    import augmenter.render  # noqa: F401, PLC0415  # only workers pay for it, and before their first image's time runs

    cv2.setNumThreads(1)


def _render(
    encoded: bytes, image: ImageRef, shapes: tuple[Shape, ...], recipe: Recipe
) -> list[tuple[bytes, tuple[Shape, ...]]] | _Refused:
    """Return the variants without the original, which the parent has; errors that we know travel as values."""
    from augmenter.render import render  # noqa: PLC0415  # only workers pay for OpenCV and albumentations

    try:
        made = render(encoded, image, shapes, recipe)
    except Rejected as error:
        return _Refused(error.rule, error.reason, error.hint)
    return [(variant.image, variant.shapes) for variant in made[1:]]
