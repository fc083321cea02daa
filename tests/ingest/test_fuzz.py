"""Whatever bytes come, they are answered, and the service goes on. `FUZZ=<cases>` runs it at length."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.decisions.trust import Trust
from annotation_ingest.handler import Ingest, Settled
from annotation_ingest.images.pictures import Pictures
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.schemas import load_named_schema
from labelstream.service.health import Health
from labelstream.streams.amqp import decode, encode
from labelstream.streams.message import Delivery, Message
from labelstream.view import AnnotationView
from labelstream.wire import native
from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.seaweedfs import WeedServer

from .fuzzing import cases
from .program import INPUT, Program, everything_in, looking_at, until_answered
from .undisturbed import receipts_in
from .writing import write

FUZZ = int(os.environ.get("FUZZ", "0"))
HANDLED = FUZZ or 3_000
DRAWN = FUZZ // 10 or 300
SENT = 2_000 if FUZZ else 300
FRAME = 1 << 20  # bytes; the broker takes no larger one unless it is told
STREAM = str(INPUT["stream"])

pytestmark = pytest.mark.timeout(7200 if FUZZ else 300)


@dataclass
class Handler:
    """The handler with its view, answering one message after the other."""

    ingest: Ingest
    runner: asyncio.Runner
    offset: int = -1
    outcomes: Counter[str] = field(default_factory=Counter)

    def answer(self, raw: bytes) -> None:
        """Answer a message; its receipt can be stored, read back and folded."""
        self.offset += 1
        settled = self.runner.run(self._settled(Delivery(STREAM, self.offset, raw)))
        stored = encode(settled.envelope.to_message())
        assert len(stored) < FRAME
        read = Envelope.from_message(decode(stored))
        assert read is not None
        self.ingest.view.apply(self.offset, read)
        outcomes = getattr(read.event, "outcomes", ())
        self.outcomes.update(one.rejection.rule if one.rejection else one.outcome for one in outcomes)

    async def _settled(self, delivery: Delivery) -> Settled:
        return self.ingest.settle(await self.ingest.prepare(delivery))


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[Handler]:
    decoders, health, blobs = Decoders(1, 30, 10_000), Health(), MemoryBlobs()
    view = AnnotationView(tmp_path / "view.sqlite")
    ingest = Ingest(
        trust=Trust(STREAM, "default", load_named_schema("example"), may_change_schema=True, may_erase=True),
        box_tolerance=0.01,
        hold_messages=50,
        pictures=Pictures("default", decoders, blobs, MemoryBlobs(), "annotations/", 1_000_000, health),
        view=view,
        blobs=blobs,
        health=health,
        hash_key=b"key",
    )
    with asyncio.Runner() as runner:
        yield Handler(ingest, runner)
    decoders.close()
    view.close()


def test_every_damaged_message_gets_a_receipt_that_can_be_kept(handler: Handler) -> None:
    for raw in cases(seed=1, count=HANDLED):
        handler.answer(raw)
    assert {"recorded", "duplicated", "held", "deleted", "message.undecodable", "image.undecodable"} <= set(
        handler.outcomes
    )


NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats()
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(max_size=20) | st.binary(max_size=20)
KEYS = st.text(max_size=8) | st.integers(0, 12)
VALUES: st.SearchStrategy[Any] = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
FIELDS = ("name", "names", "image", "image_ref", "boxes", "medium", "split", "tags", "validated", "source", "producer",
          "classes", "version", "key", "sha256")  # fmt: skip
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6) | VALUES
TYPES = st.sampled_from(
    ["annotation.submitted", "annotation.edited", "annotation.validated", "annotation.deleted",
     "annotation.erasure_requested", "class_schema.changed", "", "annotation.unheard_of"]
)  # fmt: skip
STATUSES = st.none() | st.sampled_from([10, 20, 30, 40, "Created", 0]) | st.integers(-5, 99)


@settings(
    max_examples=DRAWN,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=BODIES, subject=TYPES, status=STATUSES, message_id=st.none() | st.text(max_size=10))
def test_every_message_that_can_be_thought_up_gets_a_receipt(
    handler: Handler, body: Any, subject: str, status: int | str | None, message_id: str | None
) -> None:
    properties = {} if status is None else {"AnnotationStatus": status}
    try:
        packed = bytes(msgpack.packb(body))
        raw = encode(Message(body=packed, subject=subject, message_id=message_id, properties=properties))
    except (UnicodeEncodeError, ValueError):  # what can't be written needs no answer
        return
    handler.answer(raw)


@pytest.mark.broker
@pytest.mark.store
@pytest.mark.slow
async def test_no_damaged_message_stops_the_service(
    fresh_rabbitmq: RabbitServer, fresh_seaweedfs: WeedServer, tmp_path: Path
) -> None:
    last = encode(native.write("the last", None, [], message_id="the last"))
    messages = [*cases(seed=2, count=SENT), last]
    program = Program(tmp_path, fresh_rabbitmq.settings, fresh_seaweedfs.settings)
    async with looking_at(fresh_rabbitmq) as broker:
        await broker.ensure_stream(STREAM)
        await write(fresh_rabbitmq.settings, STREAM, messages)
        program.start()
        started = psutil.Process(program.pid)
        await until_answered(broker, len(messages))
        assert started.is_running()
        program.stop()
        events, inputs = await everything_in(broker, ANNOTATION_EVENTS), await everything_in(broker, STREAM)
    assert len(events) == len(inputs) == len(messages)
    receipts = receipts_in(events)
    assert receipts[-1].message_id == "the last"
    rules = {one.rejection.rule for receipt in receipts for one in receipt.outcomes if one.rejection}
    assert "internal.killed_service" not in rules
    assert len(rules) > 5
