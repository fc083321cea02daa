"""What is said and in which order, without any I/O: a conversation yields what it wants done, and is sent the outcome.

    Load     an image as it was given       → its bytes, or OSError
    Send     a request                      → Reply (its body is there, unless it is streamed and good), or Away
    Chunk    more of the streamed answer    → bytes, b"" at its end, or Away
    Pause    some time                      → None
    Give     a value to who asked           → None

`sync` and `asynchronous` do these with httpx; a test does them with a list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from labelstream.client.asking import Ask
from labelstream.client.errors import BUSY_STATUS, Away, Busy, ClientError, NotUnderstood, Problem, Refused
from labelstream.client.images import Image
from labelstream.client.retrying import Patience, Retries, retry_after_s

T = TypeVar("T")


@dataclass(frozen=True)
class Load:
    """Read an image."""

    image: Image


@dataclass(frozen=True)
class Send:
    """Make a request; `stream`: a good answer's body is asked for by `Chunk`."""

    ask: Ask
    stream: bool = False


@dataclass(frozen=True)
class Chunk:
    """Give more of the answer that is streamed."""


@dataclass(frozen=True)
class Pause:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Give:
    """Hand a value to who asked."""

    value: Any


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""

    @property
    def request_id(self) -> str:
        """The name of the request in the service's log."""
        return self.headers.get("x-request-id", "")

    @property
    def is_good(self) -> bool:
        """Whether it is an answer."""
        return self.status == HTTPStatus.OK


Wanted = Load | Send | Chunk | Pause | Give
Talk = Generator[Wanted, Any, T]


def asked(ask: Ask, read: Callable[[Reply], T], retries: Retries, deadline_s: float | None = None) -> Talk[T]:
    """Ask until there is an answer, or none is to be had; return what `read` makes of it. Raises ClientError."""
    reply = yield from sent(ask, patience_of(retries, deadline_s), deadline_s)
    return read(reply)


def patience_of(retries: Retries, deadline_s: float | None) -> Patience:
    """Return the patience for one question."""
    return Patience(retries, retries.total_s if deadline_s is None else min(deadline_s, retries.total_s))


def sent(ask: Ask, patience: Patience, deadline_s: float | None = None, *, stream: bool = False) -> Talk[Reply]:
    """Send a request until there is a good reply. Raises ClientError."""
    while True:
        error: ClientError | None
        try:
            left_s = None if deadline_s is None else deadline_s - patience.spent_s
            reply: Reply = yield Send(ask.within(left_s), stream)
            error = fault_in(reply)
        except Away as lost:
            error = lost
        if error is None:
            return reply
        yield Pause(patience.pause_after(error))


def fault_in(reply: Reply) -> ClientError | None:
    """Return why a reply is none, if asking again may help. Raises Refused or NotUnderstood if it can't."""
    if reply.is_good:
        return None
    problem = Problem.of(_json_or_none(reply.body), reply.status, reply.request_id)
    if reply.status in BUSY_STATUS:
        return Busy(problem, retry_after_s(reply.headers))
    if reply.status >= HTTPStatus.BAD_REQUEST:
        raise Refused(problem)
    raise NotUnderstood(f"the service answered {reply.status}, which is no answer of an inference service")


def understood(reply: Reply, read: Callable[[Mapping[str, Any]], T]) -> T:
    """Read a reply's JSON. Raises NotUnderstood."""
    said = _json_or_none(reply.body)
    return read_as(said, read)


def read_as(said: Any, read: Callable[[Mapping[str, Any]], T]) -> T:
    """Read an object of an answer. Raises NotUnderstood for what is none of the expected form."""
    if not isinstance(said, Mapping):
        raise NotUnderstood(f"the answer is no JSON object: {said!r:.80}")
    try:
        return read(said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        missing = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise NotUnderstood(f"the answer is of another form: {missing}. Is this an inference service?") from error


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
