"""Who may do what in the object store: an identity for each service and for producers, with only what it needs."""

from __future__ import annotations

from dataclasses import dataclass

DATA, MODELS, RESOURCES = "labelstream-data", "labelstream-models", "labelstream-resources"
INCOMING, UPLOADS = "labelstream-incoming", "labelstream-uploads"
OPERATOR, PRODUCER = "operator", "producer"


@dataclass(frozen=True)
class Identity:
    """An access key's name and the actions that SeaweedFS allows it."""

    name: str
    actions: tuple[str, ...]


def _may_read(bucket: str) -> tuple[str, ...]:
    return (f"Read:{bucket}", f"List:{bucket}")


def _may_write(bucket: str) -> tuple[str, ...]:
    return (f"Write:{bucket}",)


def _may_use(bucket: str) -> tuple[str, ...]:
    return (*_may_read(bucket), *_may_write(bucket))


IDENTITIES = (
    Identity(OPERATOR, ("Admin", "Read", "List", "Tagging", "Write")),
    Identity(PRODUCER, _may_write(INCOMING)),
    Identity("annotation-ingest", (*_may_use(DATA), *_may_read(INCOMING))),
    Identity("augmenter", _may_use(DATA)),
    Identity("trainer", _may_use(DATA)),
    Identity("exporter", (*_may_use(DATA), *_may_write(MODELS), *_may_use(RESOURCES))),
    Identity("exporter-work", _may_use(DATA)),
    Identity("exporter-serve", (*_may_read(RESOURCES), *_may_use(UPLOADS))),
    Identity("inference", _may_read(MODELS)),
    Identity("inference-annotate", (*_may_use(DATA), *_may_use(INCOMING))),
)
