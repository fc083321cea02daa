"""Receipts = messages: none lost, none double, in the input's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.producing import Sent
from chaos.streams import Stored
from labelstream.events.annotation import AnnotationErased, AnnotationSettled

Receipt = AnnotationSettled | AnnotationErased
MOST = 5  # of one kind are said


def messages(sent: Sequence[Sent], stored: Sequence[Stored], *, over: bool) -> Iterator[str]:
    """Judge whether the input holds what was sent, once and in order; `over`: all of it, else what came so far."""
    for number, (one, there) in enumerate(zip(sent, stored, strict=False)):
        if (one.id, one.body) != (there.id, there.body):
            yield f"message {number} was sent as {one.id}, and the stream holds {there.id} at {there.offset}"
            return  # everything after it is another one as well
    if len(stored) > len(sent):
        yield f"{len(sent)} messages were sent, and the stream holds {len(stored)}"
    elif over and len(stored) < len(sent):
        yield f"{len(sent)} messages were sent and confirmed, and the stream holds {len(stored)}: some are lost"


def receipts(stored: Sequence[Stored], settled: Sequence[Receipt], *, over: bool) -> Iterator[str]:
    """Judge whether each message of the input has its one receipt, in the input's order."""
    offsets = [receipt.input.offset for receipt in settled]
    double = [offset for offset, times in Counter(offsets).items() if times > 1]
    for offset in double[:MOST]:
        yield f"the message at {offset} has {offsets.count(offset)} receipts"
    if not double and any(one >= after for one, after in pairwise(offsets)):
        yield "receipts are not in the order of their messages"
    answered = set(offsets)
    last = max(offsets, default=-1)
    for one in [one for one in stored if one.offset not in answered and (over or one.offset < last)][:MOST]:
        yield f"the message at {one.offset} ({one.id}) has no receipt"
    ids = {one.offset: one.id for one in stored}
    for receipt in settled:
        if receipt.input.offset in ids and ids[receipt.input.offset] != receipt.message_id:
            yield f"the receipt of the message at {receipt.input.offset} names {receipt.message_id}"
            return


def received(sent: Sequence[Sent], heard: Sequence[str]) -> Iterator[str]:
    """Judge whether the producer heard of each of its messages once."""
    difference = Counter(one.id for one in sent)
    difference.subtract(heard)
    for message, times in [(one, times) for one, times in difference.items() if times][:MOST]:
        yield f"the producer heard {'too few' if times > 0 else 'too many'} receipts of {message}"
