"""What arrives together is run together: a thread takes what waits, up to a batch, and never waits for more."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from inference.engine.geometry import Floats, Tensor
from inference.metrics import BATCH_SIZE


class RunBatch(Protocol):
    """What runs a batch on a GPU; it is called by one thread at a time."""

    def __call__(self, images: Tensor) -> Floats:
        """Answer images (b, …) by (b, …)."""
        ...

    def close(self) -> None:
        """Give the GPU's memory back."""
        ...


@dataclass(frozen=True)
class _Ask:
    tensor: Tensor
    answer: Future[Floats] = field(default_factory=Future)


class Batcher:
    """Runs the images of many threads as batches of the sizes that the network was warmed for."""

    def __init__(self, run: Callable[[Tensor], Floats], sizes: Sequence[int]) -> None:
        """`sizes`: of batches, ascending; a batch in between is filled up with black images."""
        self._run = run
        self._sizes = tuple(sizes)
        self._asked: queue.SimpleQueue[_Ask | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    def run(self, tensor: Tensor) -> Floats:
        """Return the answer to one image; wait for it. Raises what the network raised over its batch."""
        ask = _Ask(tensor)
        with self._closing:
            if self._closed:
                raise RuntimeError("the network was closed")
            self._asked.put(ask)
        return ask.answer.result()

    @property
    def waiting(self) -> int:
        """How many images nobody has begun with yet."""
        return self._asked.qsize()

    def close(self) -> None:
        """Answer what was asked, then end."""
        with self._closing:
            self._closed = True
            self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            self._answer(batch)

    def _next(self) -> list[_Ask] | None:
        """Wait for an image, take what waits behind it; None at the end."""
        batch: list[_Ask] = []
        ask = self._asked.get()
        while ask is not None:
            batch.append(ask)
            if len(batch) == self._sizes[-1] or self._asked.empty():
                return batch
            ask = self._asked.get()
        if batch:
            self._asked.put(None)  # the end comes after this batch
            return batch
        return None

    def _answer(self, batch: Sequence[_Ask]) -> None:
        try:
            answers = self._run(self._stacked(batch))
            if len(answers) < len(batch):  # somebody would wait for ever
                raise RuntimeError(f"the network answered {len(answers)} of {len(batch)} images")
        except Exception as error:  # noqa: BLE001  # whoever asked hears of it; the next batch may go well
            for ask in batch:
                ask.answer.set_exception(error)
            return
        BATCH_SIZE.observe(len(batch))
        for ask, answer in zip(batch, answers, strict=False):  # what only fills up has nobody to go to
            ask.answer.set_result(answer)

    def _stacked(self, batch: Sequence[_Ask]) -> Tensor:
        size = next(size for size in self._sizes if size >= len(batch))
        images: Tensor = np.zeros((size, *batch[0].tensor.shape), batch[0].tensor.dtype)
        for row, ask in enumerate(batch):
            images[row] = ask.tensor
        return images


class Batched:
    """A network on a GPU, which runs batches."""

    def __init__(self, backend: str, run: RunBatch, black: Tensor, most: int, *, fixed: bool = False) -> None:
        """Run at most `most` images at once; `fixed`: always exactly so many. `black`: an image."""
        self.backend = backend
        self.at_once = most
        self._run = run
        self._black = black
        self._sizes = (most,) if fixed else sizes_up_to(most)
        self._batcher = Batcher(run, self._sizes)

    def run(self, tensor: Tensor, *, alone: bool = False) -> Floats:  # noqa: ARG002  # a GPU is one
        """Answer one image, with others when they come together."""
        return self._batcher.run(tensor)

    @property
    def waiting(self) -> int:
        """How many images nobody has begun with yet."""
        return self._batcher.waiting

    def trial(self, tensor: Tensor) -> float:
        """Return the seconds of one image in a full batch."""
        images = repeated(tensor, self.at_once)
        begun = time.perf_counter()
        self._run(images)
        return (time.perf_counter() - begun) / self.at_once

    def settle(self) -> None:
        """Run a batch of each size, so that no request waits for what a first run prepares."""
        for size in self._sizes:
            self._run(repeated(self._black, size))

    def close(self) -> None:
        """Answer what was asked, then let the network go."""
        self._batcher.close()
        self._run.close()


def sizes_up_to(most: int) -> tuple[int, ...]:
    """Return the sizes of batches that are run: powers of two, and the largest."""
    powers = [1 << power for power in range(most.bit_length()) if 1 << power < most]
    return (*powers, most)


def repeated(tensor: Tensor, count: int) -> Tensor:
    """Return an image so many times."""
    images: Tensor = np.zeros((count, *tensor.shape), tensor.dtype)
    images[:] = tensor
    return images
