"""One run: load, faults, a calm end, and the judgement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice

from chaos.alarms import Alarms
from chaos.asking import Asking
from chaos.diary import Diary
from chaos.disturbing import INFERENCE, Disturbing
from chaos.evidence import Evidence
from chaos.frames import scenes
from chaos.judges import answers, effects, memory, receipts
from chaos.outages import LEAST_MINUTES
from chaos.producing import Producing
from chaos.promoting import Promoting
from chaos.replay import waited_for
from chaos.stage import Stage
from chaos.story import Story
from chaos.streams import INPUT, LABELLING, OWN, Streams
from chaos.vitals import Vitals
from labelstream.events.annotation import AnnotationErased, AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS, MODEL_EVENTS, TRAINING_EVENTS, Event
from labelstream.events.batch import BatchAugmented
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.serving import ModelActivationFailed, ModelReverted
from labelstream.events.training import TrainingFinished
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker

MESSAGES_PER_S, QUESTIONS_PER_S = 2.0, 5.0
IMAGES = 24  # that are asked about
DRAINED_WITHIN_S = 900.0  # a training that was asked for at the end and its export take minutes where others work, too
JUDGE_EVERY_S, TELL_EVERY_S = 5.0, 15.0
AWAITED = ("grant.missing", "grant.refused")  # a failure that is asked for further


@dataclass
class Course:
    """Everything that runs beside the stack, and what it saw."""

    stage: Stage
    seed: int
    minutes: float
    diary: Diary
    evidence: Evidence
    streams: Streams = field(init=False)
    vitals: Vitals = field(init=False)
    producing: Producing = field(init=False)
    asking: Asking = field(init=False)
    alarms: Alarms | None = None
    promoting: Promoting | None = None
    repeats: answers.Repeats = field(default_factory=answers.Repeats)

    def __post_init__(self) -> None:
        """Prepare; nothing runs yet."""
        stack = self.stage.stack
        self._broker = RabbitBroker(stack.broker, Health(), "chaos")
        self.streams = Streams(self._broker, (INPUT, *OWN) if self.stage.trains else LABELLING)
        self.vitals = Vitals(stack)
        self.producing = Producing(self.stage.producer, Story(self.seed), MESSAGES_PER_S)
        images = [scene.image for scene in islice(scenes(self.seed, first_clip=100_000), IMAGES)]
        self.asking = Asking(stack.url(INFERENCE), images, QUESTIONS_PER_S)
        if stack.record.on_request:
            self.alarms = Alarms(stack.prometheus)

    @property
    def has_outages(self) -> bool:
        """Whether there is time for faults that raise alerts, and somebody who sees them."""
        return self.alarms is not None and self.minutes >= LEAST_MINUTES

    async def run(self) -> None:
        """Load, disturb, and wait until everything is done that was begun."""
        async with AsyncExitStack() as closing, asyncio.TaskGroup() as tasks:
            closing.push_async_callback(self._broker.close)
            watching = [tasks.create_task(self.streams.run()), tasks.create_task(self.vitals.run())]
            watching.append(tasks.create_task(self._judge_again_and_again()))
            if self.alarms is not None:
                watching.append(tasks.create_task(self.alarms.run()))
            producing, asking = tasks.create_task(self.producing.run()), None
            if self.stage.trains:
                queue = RabbitJobQueue(self.stage.stack.broker, Health(), "chaos")
                closing.push_async_callback(queue.close)
                self.promoting = Promoting(self.streams, queue)
                watching.append(tasks.create_task(self.promoting.run()))
                asking = tasks.create_task(self._ask())
            alarms = self.alarms if self.has_outages else None
            disturbing = Disturbing(self.stage, self.vitals, self.diary, self.evidence, alarms)
            await disturbing.run(self.seed, self.minutes)
            self.producing.stop()
            await self._drain(producing)
            self.asking.stop()
            if asking is not None:
                await asking
            for task in (*watching, producing):
                task.cancel()

    # ---- the load

    async def _ask(self) -> None:
        """Ask from the first model on; where none comes, not at all."""
        while self.vitals.looks[INFERENCE].ready_after(0.0) is None:  # nothing here sets an event
            if self.asking.is_over:
                return
            await asyncio.sleep(0.5)
        self.diary.tell("the first model answers")
        await self.asking.run()

    # ---- the end

    async def _drain(self, producing: asyncio.Task[None]) -> None:
        """Wait until everything is done that was begun, and say what is waited for."""
        self.diary.tell(f"everything is healed; {len(self.producing.sent)} messages were sent")
        deadline, told_at = time.monotonic() + DRAINED_WITHIN_S, 0.0
        while waits := list(self._waits(producing)):
            if time.monotonic() > deadline:
                self.evidence.add(f"after {DRAINED_WITHIN_S:.0f} s: {wait}" for wait in waits)
                return
            if time.monotonic() - told_at > TELL_EVERY_S:
                self.diary.tell(f"waiting: {'; '.join(waits)}")
                told_at = time.monotonic()
            await asyncio.sleep(1)

    def _waits(self, producing: asyncio.Task[None]) -> Iterator[str]:
        """Yield what is still waited for."""
        yield from self.vitals.missing(time.time() - 5)
        labels = waited_for(self.streams, len(self.producing.sent))
        if labels is not None:
            yield labels
        if not producing.done():
            yield f"the producer has {len(self.producing.receipts)} receipts of {len(self.producing.sent)}"
        if not self.stage.trains:
            return
        yield from effects.unfinished(self._said(TRAINING_EVENTS), self._said(MODEL_EVENTS))
        if self.promoting is not None and (model := self.promoting.waiting()):
            yield f"model {model[:12]} is not promoted"
        number = self._number_that_answers()
        if number and {one.answer and one.answer.promotion for one in self.asking.questions[-IMAGES:]} != {number}:
            yield f"promotion {number} has not answered about each image yet"

    def _number_that_answers(self) -> int:
        """Return the highest promotion that inference did not refuse or go back from; 0: none."""
        refused = {one.number for one in self.streams.events(ModelActivationFailed) if one.rule not in AWAITED}
        reverted = {one.number for one in self.streams.events(ModelReverted)}
        numbers = {one.number for one in self.streams.events(ModelPromoted)}
        return max(numbers - refused - reverted, default=0)

    # ---- the judgement

    async def _judge_again_and_again(self) -> None:
        while True:
            self.evidence.add(self.judged(over=False))
            await asyncio.sleep(JUDGE_EVERY_S)

    def judged(self, *, over: bool) -> Iterator[str]:
        """Yield what is wrong by what was seen so far; `over`: nothing more will come."""
        streams, stored = self.streams, self.streams.stored
        settled = [e for e in self._said(ANNOTATION_EVENTS) if isinstance(e, (AnnotationSettled, AnnotationErased))]
        yield from receipts.messages(self.producing.sent, stored, over=over)
        yield from receipts.receipts(stored, settled, over=over)
        if over:
            yield from receipts.received(self.producing.sent, self.producing.receipts)
        yield from effects.batches(streams.events(BatchAugmented))
        yield from streams.unreadable
        yield from (f"nobody looks after {stray}" for stray in self.vitals.lasting_strays())
        yield from memory.memory(self.vitals.weights)
        if self.stage.trains:
            yield from effects.trainings(self._said(TRAINING_EVENTS))
            yield from effects.models(self._said(MODEL_EVENTS), streams.events(TrainingFinished))
            yield from self.repeats.judge(self.asking.questions)
            if over:
                promoted, exported = streams.events(ModelPromoted), streams.events(ModelExported)
                yield from answers.promoted(self.asking.questions, promoted, exported)

    def _said(self, stream: str) -> list[Event]:
        return [one.event for one in self.streams.said[stream]]
