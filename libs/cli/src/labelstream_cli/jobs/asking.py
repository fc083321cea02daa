"""Asking the trainer for something, and what it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import uuid4

from labelstream.answers import read_answer
from labelstream.jobs.ports import Job, JobQueue
from labelstream.training_requests import QUEUE, Answer, TrainingRequest
from labelstream_cli.jobs.place import Place
from labelstream_cli.running import CommandFailed

_LOOK_EVERY_S = 0.3


async def ask(queue: JobQueue, project: str, request: TrainingRequest) -> str:
    """Queue a request; return the id under which its answer will lie. Raises Unavailable."""
    asking = uuid4().hex  # of this very asking: the answer to an earlier one is not ours
    payload = request.model_copy(update={"answer": asking}).model_dump(mode="json", exclude_none=True)
    await queue.put(QUEUE, Job(project=project, id=asking, payload=payload))
    return asking


async def answer_to(
    place: Place,
    project: str,
    asking: str,
    within_s: float | None,
    told: Callable[[Answer], None] = lambda _: None,
) -> Answer | None:
    """Return the answer, or what is known of it after `within_s` seconds; `told` hears what it waits for.

    Raises CommandFailed with the reason of a refusal.
    """
    deadline = None if within_s is None else time.monotonic() + within_s
    while True:
        answer = await read_answer(Answer, place.blobs, project, asking)
        if answer is not None and answer.outcome == "refused":
            raise CommandFailed(f"{answer.rule}: {answer.reason}" if answer.rule else answer.reason)
        if answer is not None and answer.outcome != "waiting":
            return answer
        if answer is not None:
            told(answer)
        if deadline is not None and time.monotonic() > deadline:
            return answer
        await asyncio.sleep(_LOOK_EVERY_S)
