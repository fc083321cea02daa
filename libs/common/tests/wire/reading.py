"""What the tests of both wires share."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from labelstream.errors import Rejected
from labelstream.streams.message import Message
from labelstream.wire.reading import read_submission


def rule_of(message: Message) -> str:
    """Return the rule that `message` is refused by; it says why, and what to do."""
    with pytest.raises(Rejected) as caught:
        read_submission(message)
    assert caught.value.reason
    assert caught.value.hint
    return caught.value.rule


def azaion_message(body: Any, status: Any = 10) -> Message:
    """Return an Azaion message with whatever body."""
    return Message(body=msgpack.packb(body), properties={"AnnotationStatus": status})


def native_message(body: Any, subject: str = "annotation.submitted") -> Message:
    """Return a native message with whatever body."""
    return Message(body=msgpack.packb(body), subject=subject)
