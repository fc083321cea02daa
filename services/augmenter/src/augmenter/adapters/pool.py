"""Rendering in worker processes: C decoders crash, and one core is not enough."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from augmenter.recipe import Recipe
from augmenter.rendering import Modes, Rendering
from labelstream.errors import Rejected
from labelstream.events.annotation import ImageRef
from labelstream.labels import Shape
from labelstream.processes import ATTEMPTS, Crashed, Processes, TookTooLong


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
