"""What the exporter says stands in its stream once, whoever wants to say something at the same time."""

from __future__ import annotations

import asyncio

import pytest

from exporter.exporting.voice import NAME, Voice
from labelstream.errors import Unavailable
from labelstream.events.access import AccessRevoked
from labelstream.events.base import ACCESS_EVENTS, MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelWithdrawn
from labelstream.models import ModelBook
from labelstream.service.health import Health
from labelstream.streams.amqp import decode
from labelstream.streams.journal import Journal
from labelstream.streams.memory import MemoryBroker


def withdrawn(model: str) -> ModelWithdrawn:
    return ModelWithdrawn(model=model, reason="ghosts")


async def voice_of(broker: MemoryBroker) -> Voice:
    journal = Journal(broker, MODEL_EVENTS, [NAME], ModelBook().fold, Health())
    await journal.open()
    return Voice(journal, Health())


def models_in(broker: MemoryBroker) -> list[str]:
    return [Envelope.from_message(decode(each.raw)).event.model for each in broker.stored(MODEL_EVENTS)]


def lose_the_next_answer(voice: Voice, *, stored: bool) -> None:
    """Have the broker fail in the middle of the next event, before or after it was stored."""
    broken = voice.journal._reader if stored else voice.journal._publishers[NAME]
    name = "read" if stored else "publish"
    whole = getattr(broken, name)

    async def failing(*_what):
        setattr(broken, name, whole)
        raise Unavailable("broker", "gone")

    setattr(broken, name, failing)


async def test_those_who_speak_at_once_are_heard_one_after_the_other():
    broker = MemoryBroker()
    voice = await voice_of(broker)
    await asyncio.gather(*(voice.say(withdrawn(f"m{n}"), "cars") for n in range(10)))
    assert sorted(models_in(broker)) == [f"m{n}" for n in range(10)]


async def test_an_event_stands_in_the_stream_and_in_the_book_when_it_was_said():
    broker = MemoryBroker()
    folded: list[str] = []

    def fold(_offset: int, envelope: Envelope) -> None:
        folded.append(envelope.event.model)

    journal = Journal(broker, MODEL_EVENTS, [NAME], fold, Health())
    await journal.open()
    voice = Voice(journal, Health())
    await voice.say(withdrawn("m1"), "cars", flow="f", traceparent="t", answers="a")
    assert (folded, models_in(broker)) == (["m1"], ["m1"])


@pytest.mark.parametrize("stored", [False, True])
async def test_an_event_whose_answer_was_lost_is_said_once_when_it_is_said_again(stored):
    broker = MemoryBroker()
    voice = await voice_of(broker)
    lose_the_next_answer(voice, stored=stored)
    with pytest.raises(Unavailable, match="gone"):
        await voice.say(withdrawn("m1"), "cars")
    await voice.say(withdrawn("m1"), "cars")
    assert models_in(broker) == ["m1"]


@pytest.mark.parametrize("stored", [False, True])
async def test_who_wants_to_say_another_thing_then_has_to_look_again(stored):
    broker = MemoryBroker()
    voice = await voice_of(broker)
    lose_the_next_answer(voice, stored=stored)
    with pytest.raises(Unavailable, match="gone"):
        await voice.say(withdrawn("m1"), "cars")
    with pytest.raises(Unavailable, match=r"an earlier model\.withdrawn was confirmed only now"):
        await voice.say(withdrawn("m2"), "cars")
    assert models_in(broker) == ["m1"]
    await voice.say(withdrawn("m2"), "cars")
    assert models_in(broker) == ["m1", "m2"]


async def test_the_same_event_for_the_same_cause_has_the_same_id():
    broker = MemoryBroker()
    voice = await voice_of(broker)
    for model, answers in (("m1", "a"), ("m2", "a"), ("m1", ""), ("m1", ""), ("m2", "")):
        await voice.say(withdrawn(model), "cars", answers=answers)
    first, second, third, fourth, fifth = [
        Envelope.from_message(decode(each.raw)).id for each in broker.stored(MODEL_EVENTS)
    ]
    assert first == second
    assert third == fourth
    assert len({first, third, fifth}) == 3


async def test_the_audit_log_has_a_voice_of_its_own():
    broker = MemoryBroker()
    journal = Journal(broker, ACCESS_EVENTS, [NAME], lambda *_: None, Health())
    await journal.open()
    await Voice(journal, Health()).say(AccessRevoked(kind="device", name="kiosk", by="eve", why="lost"), "cars")
    assert len(broker.stored(ACCESS_EVENTS)) == 1
