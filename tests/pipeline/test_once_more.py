"""The same again changes nothing."""

import pytest
from labelstream.events.annotation import AnnotationSettled
from labelstream.events.training import TrainingRequested
from labelstream_local.reports import ask

from .conftest import Reference
from .course import MIN_NEW, push
from .drawing import CLASSES, SIDE, shot, the_push
from .watching import Onlooker, predict

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]


def test_every_message_gets_exactly_one_receipt_in_order(reference: Reference) -> None:
    receipts = reference.course.receipts[: len(the_push())]
    assert [receipt.input.offset for receipt in receipts] == list(range(len(the_push())))
