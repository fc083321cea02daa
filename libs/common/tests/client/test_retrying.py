"""When a question is asked again: without a server, since the core does no I/O."""

from __future__ import annotations

from typing import Any

import pytest

from labelstream.client import Away, Busy, ClientError, Problem, Retries
from labelstream.client.asking import Ask
from labelstream.client.retrying import Patience, retry_after_s
from labelstream.client.talking import Pause, Reply, Send, asked

BUSY = Busy(Problem(503, "server.busy", "busy", ""))


def patience(jitter: float = 1.0, total_s: float = 100.0, **told: Any) -> Patience:
    """A patience whose clock stands still, and whose random part is so much of the range."""
    return Patience(Retries(**told), total_s, lambda: 0.0, lambda low, high: low + jitter * (high - low))


def test_pauses_double_up_to_the_longest() -> None:
    ours = patience(attempts=7, first_s=1, most_s=10)
    assert [ours.pause_after(BUSY) for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    with pytest.raises(Busy):
        ours.pause_after(BUSY)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_a_pause_is_never_shorter_than_what_was_asked_for(jitter: float) -> None:
    told = Busy(Problem(429, "rate.exceeded", "", ""), retry_after_s=7)
    assert 7 <= patience(jitter).pause_after(told) <= 7 + 0.2


def test_half_of_an_untold_pause_is_random() -> None:
    assert patience(0.0, first_s=1).pause_after(BUSY) == 0.5


def test_no_pause_is_begun_that_outlasts_the_patience() -> None:
    with pytest.raises(Busy):
        patience(total_s=0.1, first_s=1).pause_after(BUSY)


def test_who_kept_still_over_a_request_is_not_asked_again() -> None:
    with pytest.raises(Away):
        patience().pause_after(Away("slow", again=False))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "Fri, 21 Nov 2025 16:00:30 GMT", "date": "Fri, 21 Nov 2025 16:00:00 GMT"}, 30.0),
        ({"retry-after": "Fri, 21 Nov 2025 15:00:00 GMT", "date": "Fri, 21 Nov 2025 16:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
    ids=["seconds", "spaces", "date", "past", "word", "negative", "superscript", "empty", "none"],
)
def test_retry_after_is_seconds_or_a_date_by_the_services_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_a_conversation_pauses_between_its_attempts() -> None:
    talk = asked(Ask("GET", "/x"), lambda reply: reply.body, Retries(attempts=3, first_s=1, most_s=1))
    assert isinstance(next(talk), Send)
    assert talk.send(Reply(503, {"retry-after": "2"})).seconds >= 2  # type: ignore[union-attr]
    assert isinstance(talk.send(None), Send)
    assert isinstance(talk.throw(Away("reset")), Pause)
    assert isinstance(talk.send(None), Send)
    with pytest.raises(StopIteration) as end:
        talk.send(Reply(200, {}, b"here"))
    assert end.value.value == b"here"


def test_the_deadline_that_is_sent_shrinks() -> None:
    told: list[int] = []
    talk = asked(Ask("GET", "/x"), lambda reply: reply, Retries(first_s=0.001, most_s=0.001), deadline_s=5)
    wanted = next(talk)
    for _ in range(3):
        assert isinstance(wanted, Send)
        told.append(int((wanted.ask.headers or {})["x-deadline-ms"]))
        talk.send(Reply(503))
        wanted = talk.send(None)
    assert told[0] <= 5000
    assert told == sorted(told, reverse=True)


@pytest.mark.parametrize("told", [{"attempts": 0}, {"first_s": 0}, {"first_s": 2, "most_s": 1}], ids=str)
def test_retries_that_would_hammer_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"attempts|first_s"):
        Retries(**told)


def test_every_error_is_a_client_error() -> None:
    assert issubclass(Busy, ClientError)
    assert issubclass(Away, ClientError)
