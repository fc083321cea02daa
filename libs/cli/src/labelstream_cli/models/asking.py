"""Asking the exporter's decider for something, and what it answers."""

from __future__ import annotations

import asyncio
import getpass
import time
from typing import Annotated
from uuid import uuid4

import typer

from labelstream.answers import read_answer
from labelstream.blobs.ports import Blobs
from labelstream.errors import Unavailable
from labelstream.jobs.ports import Job, JobQueue
from labelstream.model_requests import QUEUE, Answer, ModelRequest
from labelstream_cli.jobs.place import Place
from labelstream_cli.running import ERRORS, CommandFailed

ANSWER_S = 60.0
_LOOK_EVERY_S = 0.3
_STORED = "The request is stored and will be done; it needs not be made again."

By = Annotated[
    str | None,
    typer.Option("--by", metavar="WHO", help="Who asks, as the events will say; default: your login name."),
]
Why = Annotated[str, typer.Option("--why", help="Why; it stands in the event.")]


class NoAnswer(CommandFailed):
    """The exporter has not answered in time; what was asked for may still be done."""


def who(by: str | None) -> str:
    """Return who asks: as told, or as the operating system calls them."""
    if by is not None:
        if not by.strip():
            raise typer.BadParameter("--by: nobody is named")
        return by.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # a user without a name, as in some containers
        raise typer.BadParameter("the operating system does not say who you are: name yourself with --by") from error


async def ask(queue: JobQueue, project: str, request: ModelRequest) -> str:
    """Queue a request; return the id under which its answer will lie. Raises Unavailable."""
    asking = uuid4().hex  # of this very asking: the answer to an earlier one is not ours
    payload = request.model_copy(update={"answer": asking}).model_dump(mode="json", exclude_none=True)
    await queue.put(QUEUE, Job(project=project, id=asking, payload=payload))
    return asking


async def answer_to(blobs: Blobs, project: str, asking: str, within_s: float = ANSWER_S) -> Answer | None:
    """Return the answer, or None when there is none after `within_s` seconds.

    Raises CommandFailed with the rule and the reason of a refusal, Unavailable.
    """
    deadline = time.monotonic() + within_s
    while True:
        answer = await read_answer(Answer, blobs, project, asking)
        if answer is not None and answer.outcome == "refused":
            raise CommandFailed(f"{answer.rule}: {_sentence(answer.reason)} {answer.hint}".rstrip())
        if answer is not None or time.monotonic() >= deadline:
            return answer
        await asyncio.sleep(_LOOK_EVERY_S)


async def asked(place: Place, project: str, request: ModelRequest, within_s: float = ANSWER_S) -> Answer:
    """Ask, and return the answer. Raises CommandFailed for a refusal, NoAnswer, Unavailable."""
    asking = await ask(place.queue, project, request)
    with ERRORS.status("Waiting for the exporter to answer."):
        try:
            answer = await answer_to(place.blobs, project, asking, within_s)
        except Unavailable as error:
            raise NoAnswer(f"the answer can't be read: {error}. {_STORED}") from error
    if answer is None:
        up = "`labelstream status` shows what is up"
        raise NoAnswer(f"the exporter did not answer within {within_s:g} s: {up}. {_STORED}")
    return answer


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
