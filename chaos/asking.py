"""The callers: ask for predictions at a steady rate, whoever answers, and note what came of each question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from labelstream.client import AsyncClient, ClientError, Prediction, Retries

PATIENCE_S = 90.0
RETRIES = Retries(attempts=200, total_s=PATIENCE_S, first_s=0.2, most_s=2.0)
STILL_S = 45.0  # a pause of the service is shorter
AT_ONCE = 90

Found = tuple[int, float, float, float, float, float]  # class, confidence, corners in pixels


@dataclass(frozen=True)
class Answer:
    """Which model found what."""

    model: str
    promotion: int
    dataset: str
    artifact: str
    found: tuple[Found, ...]

    @classmethod
    def of(cls, said: Prediction) -> Answer:
        """Keep of a prediction what is judged."""
        found = tuple(
            (one.class_id, one.confidence, one.box.x1, one.box.y1, one.box.x2, one.box.y2) for one in said.detections
        )
        return cls(said.model, said.promotion, said.dataset, said.artifact, found)


@dataclass(frozen=True)
class Question:
    """One question, however often it was asked: answered, or why not."""

    image: int
    asked: float
    ended: float
    answer: Answer | None = None
    problem: str = ""


@dataclass
class Asking:
    """Asks about some images in turn until it is told to stop."""

    url: str
    images: Sequence[bytes]
    per_s: float
    questions: list[Question] = field(default_factory=list)  # as they ended
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Ask no more."""
        self._enough.set()

    @property
    def is_over(self) -> bool:
        """Whether it was told to stop."""
        return self._enough.is_set()

    async def run(self) -> None:
        """Ask, whether those before were answered or not; return when all have ended."""
        room = asyncio.Semaphore(AT_ONCE)
        async with AsyncClient(self.url, timeout_s=STILL_S, retries=RETRIES) as client, asyncio.TaskGroup() as tasks:
            begun, count = time.monotonic(), 0
            while not self._enough.is_set():
                await room.acquire()
                asking = tasks.create_task(self._ask(client, count % len(self.images)))
                asking.add_done_callback(lambda _: room.release())
                count += 1
                await asyncio.sleep(max(0.0, begun + count / self.per_s - time.monotonic()))

    async def _ask(self, client: AsyncClient, image: int) -> None:
        asked = time.time()
        try:
            answer = Answer.of(await client.predict(self.images[image]))
        except ClientError as error:
            self.questions.append(Question(image, asked, time.time(), problem=f"{type(error).__name__}: {error}"))
        else:
            self.questions.append(Question(image, asked, time.time(), answer))
