"""Changing a project's class schema: by a message on the input stream, so that it is ordered with the annotations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from pydantic import ValidationError

from labelstream.classes import ClassSchema
from labelstream.events.annotation import AnnotationSettled
from labelstream.producer import Producer, TimedOut
from labelstream.wire import native
from labelstream_cli.running import CommandFailed

PATIENCE_S = 120.0


def with_classes(now: ClassSchema, names: Sequence[str]) -> ClassSchema:
    """Return the schema with classes added at its end. Raises CommandFailed when one is there already."""
    names = [name.strip() for name in names]
    there = [f"{name!r} is class {now.id_of(name)}" for name in names if now.id_of(name) is not None]
    if there:
        raise CommandFailed(f"nothing was sent: {', '.join(there)} already")
    if not all(names):
        raise CommandFailed("nothing was sent: a class needs a name")
    try:
        return ClassSchema(name=now.name, version=now.version + 1, classes=(*now.classes, *names))
    except ValidationError as error:
        problems = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors(include_url=False))
        raise CommandFailed(f"nothing was sent: {problems}") from error


def as_next(now: ClassSchema, wanted: ClassSchema) -> ClassSchema:
    """Return `wanted` as what follows `now`, its version above the present one.

    Raises CommandFailed, with each difference, when it does more than add classes.
    """
    changed = differences(now, wanted)
    if changed:
        listed = "\n".join(f"  {one}" for one in changed)
        raise CommandFailed(
            f"nothing was sent: the schema may only add classes at the end, and this one gives ids another meaning\n"
            f"{listed}\nKeep every class where it is; for other classes use another project."
        )
    return wanted.model_copy(update={"version": max(wanted.version, now.version + 1)})


def differences(now: ClassSchema, wanted: ClassSchema) -> list[str]:
    """Say for each present class what would become of it, where that is not the same."""
    pairs = zip_longest(now.classes, wanted.classes[: len(now.classes)])
    return [
        f"class {number} is {old!r} and would {f'become {new!r}' if new is not None else 'be gone'}"
        for number, (old, new) in enumerate(pairs)
        if old != new
    ]


async def publish_schema(producer: Producer, schema: ClassSchema, patience_s: float = PATIENCE_S) -> AnnotationSettled:
    """Publish a schema; return its receipt. Raises CommandFailed when it was refused or no receipt came."""
    message_id = await producer.publish(native.write_class_schema(schema))
    try:
        receipt = await producer.wait_for_receipt(message_id, timeout_s=patience_s)
    except TimedOut as error:
        raise CommandFailed(
            f"the schema is on its way, but {error}: `labelstream status` shows whether annotation-ingest is up"
        ) from error
    if not isinstance(receipt, AnnotationSettled):
        raise CommandFailed(f"the message was answered by {receipt.type}, which is no receipt of a schema change")
    for outcome in receipt.outcomes:
        if outcome.rejection is not None:
            raise CommandFailed(f"{outcome.rejection.rule}: {outcome.rejection.reason}. {outcome.rejection.hint}")
    return receipt
