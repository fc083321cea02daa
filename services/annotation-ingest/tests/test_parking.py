from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from annotation_ingest.adapters.parking import STREAM, Parking
from labelstream.errors import Rejected
from labelstream.parked import Marker, Parked, read_parked, to_mark, to_park
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker, MemoryPublisher, MemoryReader
from labelstream.streams.message import Delivery, Message
from labelstream.streams.ports import Retention, Start
from labelstream.values import Position

LIMITS = Retention(max_bytes=1_000_000, max_age_s=60)


class CountingBroker(MemoryBroker):
    """A broker that counts what costs a connection, and knows which ones are open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.open: set[Any] = set()

    def reader(self, stream: str, start: Start) -> MemoryReader:
        self.asked["reader"] += 1
        return self._noted(super().reader(stream, start))

    def publisher(self, stream: str, name: str) -> MemoryPublisher:
        self.asked["publisher"] += 1
        return self._noted(super().publisher(stream, name))

    async def last_publishing_id(self, stream: str, publisher: str) -> int:
        self.asked["last id"] += 1
        return await super().last_publishing_id(stream, publisher)

    async def last_offset(self, stream: str) -> int | None:
        self.asked["last offset"] += 1
        return await super().last_offset(stream)

    def _noted(self, one: Any) -> Any:
        close = one.close

        async def noted_close() -> None:
            await close()
            self.open.discard(one)

        one.close = noted_close
        self.open.add(one)
        return one


def refused(*offsets: int, stream: str = "annotations") -> list[tuple[Delivery, Rejected]]:
    error = Rejected("box.outside", "it sticks out", "Cut it.")
    return [(Delivery(stream, offset, b"message %d" % offset, 0), error) for offset in offsets]


@pytest.fixture
def broker() -> CountingBroker:
    return CountingBroker()


@pytest.fixture
async def parking(broker: CountingBroker) -> Parking:
    parking = Parking(broker, Health())
    await parking.prepare(LIMITS)
    return parking


def kept(broker: MemoryBroker) -> dict[tuple[str, int], Position]:
    """Return where each message is parked, by input stream and offset."""
    found = {}
    for one in map(read_parked, broker.stored(STREAM) or []):
        if isinstance(one, Parked):
            place = (one.input.stream, one.input.offset)
            assert place not in found
            found[place] = one.place
    return found


async def write_as_another(broker: MemoryBroker, *messages: Message) -> None:
    """Write the parked stream as somebody else would."""
    last = await MemoryBroker.last_publishing_id(broker, STREAM, "somebody")
    await MemoryPublisher(broker, STREAM, "somebody").publish(list(enumerate(messages, last + 1)))


async def test_one_publisher_a_name_and_one_reader_serve_all_batches(broker: CountingBroker, parking: Parking) -> None:
    for first in range(0, 40, 4):
        mine = await parking.park("ingest.a", refused(first, first + 2, stream="a"))
        others = await parking.park("ingest.b", refused(first + 1, stream="b"))
        assert mine == {first: kept(broker)["a", first], first + 2: kept(broker)["a", first + 2]}
        assert others == {first + 1: kept(broker)["b", first + 1]}
    assert broker.asked == {"publisher": 2, "last id": 2, "reader": 1, "last offset": 1}
    await parking.close()
    assert not broker.open


async def test_after_a_restart_a_message_is_found_where_it_was_parked_before(
    broker: CountingBroker, parking: Parking
) -> None:
    before = await parking.park("ingest", refused(3, 5))
    again = Parking(broker, Health())
    assert await again.park("ingest", refused(3, 5, 8)) == {**before, 8: kept(broker)["annotations", 8]}
    assert len(kept(broker)) == 3


async def test_a_message_that_was_parked_before_and_is_gone_is_parked_again(
    broker: CountingBroker, parking: Parking
) -> None:
    await parking.park("ingest", refused(3, 5))
    (broker.stored(STREAM) or []).pop(0)  # as its age would make it
    again = Parking(broker, Health())
    places = await again.park("ingest", refused(3, 5, 8))
    assert places == {n: kept(broker)["annotations", n] for n in (3, 5, 8)}


async def test_a_message_that_only_a_second_try_refuses_is_parked_behind_later_ones_and_once(
    broker: CountingBroker, parking: Parking
) -> None:
    await parking.park("ingest", refused(5))
    for _ in range(2):  # each time the process ends before the receipts are stored
        again = Parking(broker, Health())
        places = await again.park("ingest", refused(2, 3, 5))
        assert places == {n: kept(broker)["annotations", n] for n in (2, 3, 5)}
    assert len(kept(broker)) == 3


async def test_parking_goes_on_in_a_stream_that_was_created_anew(broker: CountingBroker, parking: Parking) -> None:
    await parking.park("ingest", refused(1, 2, 3))
    broker.delete(STREAM)
    await parking.prepare(LIMITS)
    assert await parking.park("ingest", refused(4)) == {4: kept(broker)["annotations", 4]}
    assert await parking.park("ingest", refused(5, 6)) == {n: kept(broker)["annotations", n] for n in (5, 6)}
    await parking.close()
    assert not broker.open


async def test_the_hint_is_kept_and_no_address_stands_in_it_or_in_the_reason(
    broker: CountingBroker, parking: Parking
) -> None:
    error = Rejected("name.missing", "the name is 'someone@example.org'", "Ask someone@example.org for a name.")
    await parking.park("ingest", [(Delivery("annotations", 0, b"someone@example.org", 0), error)])
    (one,) = map(read_parked, broker.stored(STREAM) or [])
    assert isinstance(one, Parked)
    assert one.raw == b"someone@example.org"  # the bytes are kept as they came
    assert (one.reason, one.hint) == (
        "the name is (an address, not shown)",
        "Ask (an address, not shown) for a name.",
    )


async def test_what_others_write_is_passed_over_when_it_reads_back_what_it_parked(
    broker: CountingBroker, parking: Parking
) -> None:
    first = await parking.park("ingest", refused(1))
    marker = to_mark("replayed", Position(stream="annotations", offset=3))
    await write_as_another(broker, marker, Message(body=b"noise"), Message(body=b"x", properties={"input_offset": 3}))
    broker.write_raw(STREAM, b"not even a message")
    second = await parking.park("ingest", refused(3))
    assert first | second == {1: kept(broker)["annotations", 1], 3: kept(broker)["annotations", 3]}
    assert isinstance(read_parked((broker.stored(STREAM) or [])[1]), Marker)


async def test_markers_in_a_stream_that_was_created_anew_do_not_hide_what_is_parked_there(
    broker: CountingBroker, parking: Parking
) -> None:
    await parking.park("ingest", refused(1, 2, 3))
    broker.delete(STREAM)
    await parking.prepare(LIMITS)
    publisher = broker.publisher(STREAM, "ingest")
    await publisher.publish([(delivery.offset + 1, to_park(delivery, error)) for delivery, error in refused(4)])
    marker = to_mark("dropped", Position(stream="annotations", offset=2))
    await write_as_another(broker, *[marker] * 5)  # the new stream is longer than what was read of the old one
    assert await parking.park("ingest", refused(4)) == {4: kept(broker)["annotations", 4]}
    assert await parking.park("ingest", refused(5)) == {5: kept(broker)["annotations", 5]}
