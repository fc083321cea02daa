"""Looking at what was refused, and bringing it again."""

from datetime import UTC, datetime

import msgpack
import pytest

from labelstream.errors import Rejected
from labelstream.events.annotation import AnnotationErased, AnnotationSettled, Outcome, Rejection
from labelstream.events.base import ANNOTATION_EVENTS, Event
from labelstream.events.envelope import Envelope
from labelstream.parked import INGEST, to_mark, to_park
from labelstream.parked import replays as replays_of
from labelstream.streams.amqp import decode, encode
from labelstream.streams.memory import MemoryBroker
from labelstream.streams.message import Delivery, Message
from labelstream.values import Position
from labelstream.wire import native
from labelstream_cli.parked.awaiting import Awaited
from labelstream_cli.parked.peeking import peek
from labelstream_cli.parked.reading import Wanted, chosen, kept, listing, since_ms
from labelstream_cli.parked.replaying import mark, replay
from labelstream_cli.running import CommandFailed

UNKNOWN = Rejected("class.unknown", "box 0 has the class lorry", "Add it.")
OUTSIDE = Rejected("box.outside", "box 0 sticks out", "Cut it.")


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    for stream in ("annotations", INGEST, ANNOTATION_EVENTS):
        await broker.ensure_stream(stream)
    return broker


def submitted(name: str, **more: object) -> Message:
    return native.write(name, b"\xff\xd8\xff pixels", [], message_id=f"id-{name}", **more)


async def park(broker: MemoryBroker, offset: int, raw: bytes, error: Rejected = UNKNOWN) -> int:
    """Park a message that came in at `offset`; return its position."""
    message = to_park(Delivery("annotations", offset, raw), error)
    await broker.publisher(INGEST, "annotation-ingest").publish([(offset + 1, message)])
    last = await broker.last_offset(INGEST)
    assert last is not None
    return last


async def say(broker: MemoryBroker, event: Event, number: int) -> None:
    envelope = Envelope.of(event, source="annotation-ingest", answers=str(number), project="default")
    await broker.publisher(ANNOTATION_EVENTS, "annotation-ingest").publish([(number, envelope.to_message())])


def receipt(offset: int, outcome: Outcome, replays: int | None = None, message_id: str | None = None):
    return AnnotationSettled(
        input=Position(stream="annotations", offset=offset),
        message_id=message_id,
        message_key="key",
        wire="native",
        outcomes=(outcome,),
        replays=None if replays is None else Position(stream="annotations", offset=replays),
    )


def replayed(broker: MemoryBroker) -> list[Message]:
    return [decode(delivery.raw) for delivery in broker.stored("annotations") or []]


async def test_each_message_is_listed_with_its_names_rule_and_state(broker: MemoryBroker) -> None:
    first = await park(broker, 3, encode(submitted("a")))
    second = await park(broker, 5, encode(native.write_bulk("validated", list("bcdefgh"))), OUTSIDE)
    third = await park(broker, 8, b"noise", OUTSIDE)
    found = await kept(broker, Wanted())
    await mark(broker, "dropped", found[2:])
    await mark(broker, "replayed", found[:1])

    found = await kept(broker, Wanted())

    assert [one.offset for one in found] == [first, second, third]
    assert [one.names for one in found] == [("a",), ("b", "c", "d", "e", "f"), ()]
    assert [one.more_names for one in found] == [0, 2, 0]
    assert [one.state for one in found] == ["replayed", "parked", "dropped"]
    assert found[0].as_json() | {"time": ""} == {
        "position": first, "time": "", "state": "replayed", "rule": "class.unknown", "reason": UNKNOWN.reason,
        "hint": "Add it.", "names": ["a"], "more_names": 0, "input": {"stream": "annotations", "offset": 3},
        "replays": None, "size_bytes": len(encode(submitted("a"))),
    }  # fmt: skip


async def test_a_listing_holds_the_newest_and_counts_all(broker: MemoryBroker) -> None:
    for offset in range(5):
        await park(broker, offset, encode(submitted(f"n{offset}")), OUTSIDE if offset else UNKNOWN)
    found = await kept(broker, Wanted())
    await mark(broker, "dropped", found[1:2])
    await mark(broker, "replayed", found[4:])

    newest = await listing(broker, Wanted(), 2)

    assert [(one.names, one.state) for one in newest.newest] == [(("n4",), "replayed"), (("n3",), "parked")]
    assert newest.total == 5
    assert newest.rules == {
        "box.outside": {"parked": 2, "dropped": 1, "replayed": 1}, "class.unknown": {"parked": 1},
    }  # fmt: skip
    assert list(newest.rules) == ["box.outside", "class.unknown"]
    assert len((await listing(broker, Wanted(), None)).newest) == 5
    assert (await listing(broker, Wanted(rule="class.unknown"), 2)).total == 1


async def test_messages_are_chosen_by_rule_stream_and_time(broker: MemoryBroker) -> None:
    await park(broker, 3, encode(submitted("a")))
    await park(broker, 5, encode(submitted("b")), OUTSIDE)
    assert [one.names for one in await kept(broker, Wanted(rule="box.outside"))] == [("b",)]
    assert len(await kept(broker, Wanted(stream="annotations", since_ms=1))) == 2
    assert await kept(broker, Wanted(stream="other")) == []
    assert await kept(broker, Wanted(since_ms=2**60)) == []


def test_a_time_is_read_as_an_age_or_a_date() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert since_ms("2h", now) == int(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp() * 1000)
    assert since_ms("2026-03-01T12:00+00:00") == int(now.timestamp() * 1000)
    with pytest.raises(ValueError, match="isoformat"):
        since_ms("yesterday")
    with pytest.raises(ValueError, match="before all time"):
        since_ms("99999999999d", now)


async def test_a_parked_stream_that_is_not_there_or_empty_holds_nothing(broker: MemoryBroker) -> None:
    assert await kept(broker, Wanted()) == []
    with pytest.raises(CommandFailed, match="no message is parked at 4, 9"):
        await chosen(broker, [9, 4])


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"name": "a", "boxes": "wrong"}, ("a",)),
        ({1: "a", 5: "[]"}, ("a",)),
        ([1, "a", "film"], ("a",)),
        ([["a", "b"], "someone@example.org"], ("a", "b")),
        ({"name": "someone@example.org"}, ("(an address, not shown)",)),
        ({"name": 7}, ()),
        ([], ()),
        ("text", ()),
    ],
    ids=["native", "azaion map", "azaion array", "azaion bulk", "an address", "no text", "empty", "no map"],
)
def test_names_are_found_in_what_is_malformed_otherwise(body: object, names: tuple[str, ...]) -> None:
    assert peek(encode(Message(body=msgpack.packb(body)))).names == names


def test_a_message_is_told_without_pixels_and_addresses() -> None:
    body = {"name": "a", "image": b"\xff\xd8\xff pixels", "producer": "me@example.org", "boxes": [{"x": 1.5}] * 60}
    peeked = peek(encode(Message(body=msgpack.packb(body))))
    assert peeked.image == body["image"]
    assert peeked.told["image"] == "jpeg, 10 bytes"
    assert peeked.told["producer"] == "(an address, not shown)"
    assert (peeked.told["boxes"][0], peeked.told["boxes"][-1]) == ({"x": 1.5}, "… and 10 more")
    assert "example.org" not in str(peeked.told)


def test_what_is_no_message_says_why() -> None:
    assert "not an AMQP 1.0 message" in str(peek(b"noise").problem)
    assert "not MessagePack" in str(peek(encode(Message(body=b"\xc1"))).problem)


async def test_a_replay_publishes_the_message_again_and_marks_it(broker: MemoryBroker) -> None:
    await park(broker, 3, encode(submitted("a")))
    await park(broker, 5, b"noise")
    done = await replay(broker, await kept(broker, Wanted()))

    (again,) = replayed(broker)
    assert (again.body, again.message_id) == (submitted("a").body, "id-a")
    assert replays_of(again) == Position(stream="annotations", offset=3)
    assert [one.published for one in done] == [True, False]
    assert "not an AMQP 1.0 message" in str(done[1].problem)
    assert [one.state for one in await kept(broker, Wanted())] == ["replayed", "parked"]
    assert done[1].failed


async def test_a_second_replay_goes_on_behind_the_first(broker: MemoryBroker) -> None:
    for offset, name in enumerate("abc"):
        await park(broker, offset, encode(submitted(name)))
    found = await kept(broker, Wanted())
    for _ in range(2):
        await replay(broker, found)
    assert [message.message_id for message in replayed(broker)] == ["id-a", "id-b", "id-c"] * 2


async def test_the_receipts_of_replays_are_found_by_what_they_replay(broker: MemoryBroker) -> None:
    for offset, name in enumerate("abc"):
        await park(broker, offset, encode(submitted(name)))
    await say(broker, receipt(0, Outcome(name="a", outcome="rejected"), message_id="id-a"), 1)
    found = await kept(broker, Wanted())
    awaited = await Awaited.of(broker, {"annotations"})
    done = await replay(broker, found)
    refusal = Rejection(rule="box.outside", reason="it sticks out", hint="Cut it.")
    a, b, c = (delivery.offset for delivery in broker.stored("annotations") or [])
    await say(broker, receipt(a, Outcome(name="a", outcome="recorded"), replays=0), 2)
    await say(broker, receipt(b, Outcome(name="b", outcome="superseded"), replays=1), 3)
    await say(broker, receipt(c, Outcome(outcome="rejected", rejection=refusal), message_id="id-c"), 4)
    await awaited.follow(done, patience_s=20)

    assert [[became.outcome for became in one.became] for one in done] == [["recorded"], ["superseded"], ["rejected"]]
    assert [one.failed for one in done] == [False, False, True]
    assert done[2].as_json()["outcomes"] == [{"outcome": "rejected", "rule": "box.outside", "reason": "it sticks out",
                                              "hint": "Cut it."}]  # fmt: skip


async def test_the_receipt_of_an_erasure_counts_and_waiting_ends_behind_the_last_message(broker: MemoryBroker) -> None:
    await park(broker, 0, encode(native.write_erasure(["x"], message_id="id-erase")))
    await park(broker, 1, encode(native.write_bulk("deleted", ["y"])))
    awaited = await Awaited.of(broker, {"annotations"})
    done = await replay(broker, await kept(broker, Wanted()))
    first, second = (delivery.offset for delivery in broker.stored("annotations") or [])
    erased = AnnotationErased(
        input=Position(stream="annotations", offset=first), message_id="id-erase", message_key="key", names=("x",)
    )
    await say(broker, erased, 1)
    await say(broker, receipt(second, Outcome(name="y", outcome="held")), 2)  # says nothing by which it is known
    await awaited.follow(done, patience_s=20)

    assert [[became.outcome for became in one.became] for one in done] == [["erased"], []]


async def test_when_no_receipt_comes_it_says_how_many_are_missing(broker: MemoryBroker) -> None:
    await park(broker, 0, encode(submitted("a")))
    awaited = await Awaited.of(broker, {"annotations"})
    done = await replay(broker, await kept(broker, Wanted()))
    with pytest.raises(CommandFailed, match="0 of 1 are there"):
        await awaited.follow(done, patience_s=0.1)


async def test_a_replay_that_was_refused_again_counts_as_a_replay_of_the_first_message(broker: MemoryBroker) -> None:
    await park(broker, 0, encode(submitted("a")))
    await replay(broker, await kept(broker, Wanted()))
    (again,) = broker.stored("annotations") or []
    await park(broker, again.offset + 10, again.raw)
    first, second = await kept(broker, Wanted())
    assert (first.state, second.state) == ("replayed", "parked")
    assert second.origin == first.input != second.input


async def test_what_others_wrote_to_the_parked_stream_is_passed_over(broker: MemoryBroker) -> None:
    broker.write_raw(INGEST, b"noise")
    await park(broker, 3, encode(submitted("a")))
    marker = to_mark("dropped", Position(stream="other", offset=3))
    await broker.publisher(INGEST, "somebody").publish([(1, marker)])
    (one,) = await kept(broker, Wanted())
    assert one.state == "parked"
