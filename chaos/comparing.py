"""What is compared after a course: answers with those of the bundles, the rest with an undisturbed replay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chaos.calling import CallFailed
from chaos.course import Course
from chaos.judges import answers
from chaos.offline import offline
from chaos.processes import left
from chaos.replay import FINAL, Outcome, differences, outcome, undisturbed
from chaos.stage import Stage
from labelstream.client import ClientError
from labelstream.errors import Misconfigured, Unavailable
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.training import TrainingRequested
from labelstream_local.process import StartFailed

FAILED = (CallFailed, ClientError, Misconfigured, StartFailed, TimeoutError, Unavailable)


@dataclass
class Comparing:
    """Compares, step by step; a step that can't be made is wrong as well."""

    course: Course
    folder: Path
    offline_answers: int = 0  # places: a model, an artifact and an image
    farthest_px: float = 0.0
    datasets: int = 0  # equal to those of the replay
    dataset: str = ""  # of everything
    _came_to: Outcome | None = None

    async def on_stage(self, stage: Stage) -> None:
        """Compare what needs the stack."""
        if stage.trains:
            await self._guarded("the offline answers", lambda: self._answers(stage))
        await self._guarded("the datasets", lambda: self._datasets(stage))

    async def without_it(self, stage: Stage) -> None:
        """Compare what needs the machine for itself: the stack is stopped."""
        self.course.evidence.add(f"{command} was left behind" for command in _left(stage))
        await self._guarded("the replay", self._replay)

    async def _guarded(self, what: str, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except FAILED as error:
            self.course.evidence.add([f"{what} can't be had: {type(error).__name__}: {error}"])

    async def _answers(self, stage: Stage) -> None:
        self.course.diary.tell("every answer is compared with the offline answer of its model")
        questions, images = self.course.asking.questions, self.course.asking.images
        known = await offline(stage.stack, images, questions, self.folder / "bundles")
        self.course.evidence.add(answers.answers(questions, known))
        self.offline_answers, self.farthest_px = len(known), answers.farthest(questions, known)

    async def _datasets(self, stage: Stage) -> None:
        """Build the datasets again, also those that were trained on."""
        trained = self._trained_on()
        self._came_to = await outcome(stage.stack, self.course.streams, trained)
        for cut, known in trained.items():
            built = self._came_to.datasets[cut]
            if built != known:
                self.course.evidence.add(
                    [f"a training was of dataset {known[:16]}; up to event {cut} it is {built[:16]}"]
                )

    async def _replay(self) -> None:
        if self._came_to is None:
            return
        raw = self.course.streams.raw
        self.course.diary.tell(f"{len(raw)} messages are replayed through a stack that nobody disturbs")
        again = await undisturbed(self.folder / "replay", raw, self._trained_on())
        self.course.evidence.add(differences(self._came_to, again))
        self.datasets = sum(again.datasets[cut] == dataset for cut, dataset in self._came_to.datasets.items())
        self.dataset = again.datasets[FINAL]

    def _trained_on(self) -> dict[int, str]:
        """Return the datasets that were trained on, by the number of the event that was their cut."""
        numbers = {one.offset: number for number, one in enumerate(self.course.streams.said[ANNOTATION_EVENTS])}
        requested = self.course.streams.events(TrainingRequested)
        return {numbers[one.dataset.cut.offset]: one.dataset.id for one in requested}


def _left(stage: Stage) -> Iterator[str]:
    """Yield the command lines of processes that outlived their stack."""
    for process in left(stage.stack):
        yield " ".join(process.cmdline())
