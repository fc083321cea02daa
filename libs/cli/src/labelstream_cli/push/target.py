"""Where a push goes: the broker, the class schema that waits there, and the store for images by reference."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from labelstream.blobs.s3 import S3Blobs
from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured, Unavailable
from labelstream.producer import broker_settings
from labelstream.schemas import load_named_schema
from labelstream.schemas.recorded import recorded_schema
from labelstream.service.health import Health
from labelstream.service.settings import BrokerSettings, StoreSettings
from labelstream_cli.reaching import settings_of, store_in_environment
from labelstream_cli.running import CommandFailed, running_stack
from labelstream_local.rights import PRODUCER, input_stream
from labelstream_local.stack import Stack

_SCHEMA_WITHIN_S = 10.0


@dataclass(frozen=True)
class Target:
    """A stream of a broker, and what is known of what lies behind it."""

    stream: str
    broker: BrokerSettings | None  # None where it is not needed: a dry run without a stack
    schema: ClassSchema | None
    schema_from: str  # where the schema was found, or why it is not known
    incoming: StoreSettings | None = None  # None: images that no message can hold are left out
    by_reference: bool = False  # every image, not only those that no message can hold
    schema_behind: ClassSchema | None = None  # the one that decides there, where `schema` was told and that is known

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Return the classes that would be refused behind the stream, as far as is known."""
        return [name for name in names if self.schema_behind and self.schema_behind.id_of(name) is None]


def find_target(
    stream: str, directory: Path, url: str | None, schema: str | None, *, by_reference: bool, dry_run: bool
) -> Target:
    """Find where a push goes. Raises CommandFailed when the stack is down, Misconfigured."""
    told = load_named_schema(schema) if schema is not None else None
    if url is not None:
        incoming = store_in_environment("--by-reference with --url") if by_reference else None
        found, source = told, "--schema" if told else "the class schema is not known: --schema NAME|FILE names it"
        return Target(stream, broker_settings(url), found, source, incoming, by_reference)
    try:
        stack = running_stack(directory)
    except CommandFailed:
        if not dry_run:
            settings_of(directory, url)  # fails, saying what to do
        source = "--schema" if told else "the class schema is not known: no stack is up, and there is no --schema"
        return Target(stream, None, told, source)
    if told is not None and stream not in map(input_stream, stack.record.projects):
        return Target(stream, stack.broker, told, "--schema", stack.store, by_reference)
    behind, source = asyncio.run(_schema_of(stack, stream))
    broker, incoming = stack.rabbitmq.settings_of(PRODUCER), stack.seaweedfs.settings_of(PRODUCER)
    if told is None:
        return Target(stream, broker, behind, source, incoming, by_reference)
    return Target(stream, broker, told, "--schema", incoming, by_reference, behind)


async def _schema_of(stack: Stack, stream: str) -> tuple[ClassSchema | None, str]:
    project = next((one for one in stack.record.projects if input_stream(one) == stream), None)
    if project is None:
        known = [*map(input_stream, stack.record.projects)]
        raise Misconfigured(
            f"the stack has no input stream {stream!r}, only {', '.join(known)}: say --stream {known[0]}"
        )
    blobs = S3Blobs(stack.store, stack.store.data_bucket, Health())
    try:
        async with asyncio.timeout(_SCHEMA_WITHIN_S):
            return await recorded_schema(blobs, project), f"of project {project}"
    except (Unavailable, TimeoutError) as error:
        return None, f"the class schema of project {project} is not known: {str(error) or 'the store does not answer'}"
    finally:
        await blobs.close()
