"""A bad message is answered and put aside; what stands behind it goes on."""

import random

import pytest

from labelstream.events.annotation import AnnotationSettled
from labelstream.streams.amqp import decode, encode
from labelstream.streams.message import Message

from .drawing import shot
from .watching import Onlooker

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]

PARKED = "parked.annotation-ingest"
EMPTY_BODY = b"\x00\x53\x75\xa0\x00"  # AMQP 1.0: a data section of no bytes


def _good(number: int) -> bytes:
    return encode(shot(f"between-{number}", "between").message())


def _bad() -> dict[str, tuple[bytes, str]]:
    """Return what is wrong → the message's bytes and the rule that they break."""
    one = shot("bad", "bad")
    box = dict(one.boxes[0])
    noise = random.Random(7).randbytes(400)
    return {
        "a corrupted image": (encode(one.message(image=one.image[:300])), "image.undecodable"),
        "a box outside": (encode(one.message(boxes=[{**box, "y": -0.3}])), "box.outside"),
        "an unknown class": (encode(one.message(boxes=[{**box, "class": "zeppelin"}])), "class.unknown"),
        "an empty body": (EMPTY_BODY, "message.undecodable"),
        "no bytes at all": (b"", "message.undecodable"),
        "random bytes": (noise, "message.undecodable"),
        "a random body": (encode(Message(body=noise, subject="annotation.submitted")), "message.undecodable"),
    }


async def test_each_bad_message_is_rejected_once_and_those_behind_it_settle_in_order(see: Onlooker) -> None:
    bad = list(_bad().values())
    messages = [raw for number, (raw, _) in enumerate(bad) for raw in (_good(number), raw)] + [_good(len(bad))]
    first, start = await see.end("annotations"), await see.end(AnnotationSettled.stream)
    process = see.stack.supervisor.processes()["annotation-ingest"].pid

    await see.write("annotations", messages)
    last = first + len(messages) - 1
    await see.heard(AnnotationSettled, lambda receipt: receipt.input.offset == last, start)
    receipts = await see.said(AnnotationSettled, start)

    assert [receipt.input.offset for receipt in receipts] == list(range(first, last + 1))
    assert {len(receipt.outcomes) for receipt in receipts} == {1}
    outcomes = [receipt.outcomes[0] for receipt in receipts]
    assert {outcome.outcome for outcome in outcomes[::2]} == {"recorded"}
    rejections = [outcome.rejection for outcome in outcomes[1::2]]
    assert [rejection.rule for rejection in rejections if rejection] == [rule for _, rule in bad]
    assert all(rejection.reason and rejection.hint for rejection in rejections if rejection)
    assert see.stack.supervisor.processes()["annotation-ingest"].pid == process

    parked = {delivery.offset: decode(delivery.raw) for delivery in await see.raw(PARKED)}
    for number, (rejection, (raw, rule)) in enumerate(zip(rejections, bad, strict=True)):
        assert rejection is not None
        assert rejection.parked is not None
        kept = parked[rejection.parked.offset]
        assert (kept.body, kept.properties["rule"]) == (raw or b"\x00", rule)
        assert kept.properties["input_offset"] == first + 2 * number + 1
    ours = [message for message in parked.values() if int(message.properties["input_offset"]) >= first]
    assert len(ours) == len(bad)
