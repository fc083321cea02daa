"""The Azaion wire from end to end, and what our own streams keep of it."""

import pytest

from labelstream.events.annotation import AnnotationSettled
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS, SERVING_EVENTS, TRAINING_EVENTS
from labelstream.events.batch import BatchAugmented
from labelstream.wire.azaion import VALIDATOR
from labelstream.wire.azaion_writer import AzaionWriter

from .course import push
from .drawing import CLASSES, shot, shots
from .watching import Onlooker

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]

OPERATOR_EMAIL, VALIDATOR_EMAIL = "olena.operator@example.org", "vasyl.validator@example.org"
JPEG = b"\xff\xd8\xff"


async def test_what_an_operator_created_is_augmented_once_somebody_validated_it(see: Onlooker) -> None:
    name, one = "azaion-1", shot("azaion-1", "azaion.mp4")
    boxes = [{"cls": CLASSES.index(box["class"]), **{side: box[side] for side in "xywh"}} for box in one.boxes]
    start, batches = await see.end(ANNOTATION_EVENTS), await see.end(BATCH_EVENTS)
    created = AzaionWriter(email=OPERATOR_EMAIL).created(name, one.image, boxes, medium=one.medium)
    validated = AzaionWriter(role=VALIDATOR, email=VALIDATOR_EMAIL).validated([name])
    first, second = await push(see.stack, [created, validated], name="azaion")

    assert (first.wire, first.outcomes[0].outcome, first.outcomes[0].validated) == ("azaion", "recorded", False)
    assert (second.outcomes[0].outcome, second.outcomes[0].validated) == ("validated", True)
    assert first.producer is not None
    assert first.producer != second.producer
    validating = start + 1
    covering = await see.heard(BatchAugmented, lambda batch: batch.input.last >= validating, batches)
    (member,) = (each for batch in await see.said(BatchAugmented, batches) for each in batch.members)
    assert (member.name, member.offset, len(member.variants)) == (name, validating, 8)
    assert covering.left_out == ()


async def test_our_own_streams_hold_no_pixel_and_no_address(see: Onlooker) -> None:
    one = shot("azaion-2", "azaion.mp4")
    (receipt,) = await push(
        see.stack, [AzaionWriter(email=OPERATOR_EMAIL).created("azaion-2", one.image, [])], "azaion"
    )
    assert receipt.producer is not None
    held = {
        stream: [delivery.raw for delivery in await see.raw(stream)]
        for stream in (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS)
    }
    assert all(held.values())
    pushed = [one.image, *(each.image for each in shots())]
    personal = [address.encode() for address in (OPERATOR_EMAIL, VALIDATOR_EMAIL)]
    forbidden = [JPEG, *personal, *(image[len(image) // 2 :][:24] for image in pushed)]
    assert [(stream, what) for stream, raws in held.items() for raw in raws for what in forbidden if what in raw] == []
    logs = {path.name: path.read_bytes() for path in see.stack.layout.logs.iterdir()}
    assert [name for name, text in logs.items() for what in personal if what in text] == []
    assert AnnotationSettled.stream == ANNOTATION_EVENTS
