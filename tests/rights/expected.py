"""Who may do what, as the design has it: written by hand, not read from the table that is tested."""

from __future__ import annotations

from dataclasses import dataclass

PROGRAMS = (
    "annotation-ingest",
    "augmenter",
    "augmenter-work",
    "trainer",
    "trainer-work",
    "exporter",
    "exporter-work",
    "exporter-serve",
    "inference",
    "inference-annotate",
)
USERS = (*PROGRAMS, "producer", "monitor")  # all but the operator, who may do everything
IDENTITIES = (*PROGRAMS, "producer")
PROJECTS = ("default", "harbour")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True)
class Stream:
    """Who may create a stream (and delete it), write it and read it."""

    create: frozenset[str]
    write: frozenset[str]
    read: frozenset[str]

    def allows(self, user: str) -> dict[str, bool]:
        """Return what a user may do."""
        return {
            "read": user in self.read,
            "last id": user in self.read,
            "write": user in self.write,
            "create": user in self.create,
            "delete": user in self.create,
        }


@dataclass(frozen=True)
class Queue:
    """Who may declare a queue, put there and take from there."""

    declare: frozenset[str]
    publish: frozenset[str]
    consume: frozenset[str]

    def allows(self, user: str) -> dict[str, bool]:
        """Return what a user may do."""
        return {
            "declare its exchange": user in self.declare,
            "declare": user in self.declare,
            "publish": user in self.publish,
            "consume": user in self.consume,
        }


def _stream(create: str = "", write: str = "", read: str = "") -> Stream:
    return Stream(_names(create), _names(write), _names(read))


def _shared(users: str) -> Queue:
    return Queue(_names(users), _names(users), _names(users))


_INPUT = _stream("annotation-ingest", "producer", "annotation-ingest producer")
_PROPOSALS = _stream("annotation-ingest", "inference-annotate", "annotation-ingest inference-annotate")
STREAMS = {
    "annotations": _INPUT,
    "annotations.harbour": _INPUT,
    "annotations-ai": _PROPOSALS,
    "annotations-ai.harbour": _PROPOSALS,
    "annotation-events": _stream(
        "annotation-ingest", "annotation-ingest", "annotation-ingest augmenter trainer producer"
    ),
    "parked.annotation-ingest": _stream("annotation-ingest", "annotation-ingest", "annotation-ingest"),
    "batch-events": _stream("augmenter", "augmenter", "augmenter trainer"),
    "training-events": _stream("trainer", "trainer", "trainer exporter"),
    "model-events": _stream("exporter", "exporter", "exporter exporter-serve trainer inference"),
    "serving-events": _stream("inference", "inference", "inference"),
    "access-events": _stream("exporter", "exporter exporter-serve", "exporter exporter-serve"),
    # of projects that are not served, of somebody else, and names that are nearly ours
    "annotations.secret": _stream(),
    "annotations-ai.secret": _stream(),
    "payments": _stream(),
    "annotation-events.copy": _stream(),
    "my-model-events": _stream(),
    "parked.trainer": _stream(),
}

_OWNERS = "augmenter augmenter-work trainer trainer-work exporter exporter-work inference-annotate"
QUEUES = {
    "jobs.augment": _shared("augmenter augmenter-work"),
    "jobs.train": _shared("trainer trainer-work"),
    "jobs.export.onnx": _shared("exporter exporter-work"),
    "jobs.export.tensorrt.sm_90": _shared("exporter exporter-work"),
    "jobs.annotate": _shared("inference-annotate"),
    "requests.trainer": _shared("trainer"),
    "requests.exporter": _shared("exporter"),
    "requests.grants": Queue(_names("exporter"), _names("exporter exporter-serve"), _names("exporter")),
    "jobs.dead": Queue(frozenset(), _names(_OWNERS), frozenset()),  # whoever owns a queue has dead letters
    "payments.due": _shared(""),
    "jobs.exports": _shared(""),
    "my.jobs.train": _shared(""),
}


@dataclass(frozen=True)
class Bucket:
    """Who may read and list a bucket, and who may write and delete there."""

    read: frozenset[str]
    write: frozenset[str]

    def allows(self, identity: str) -> dict[str, bool]:
        """Return what an identity may do."""
        reads, writes = identity in self.read, identity in self.write
        return {"get": reads, "list": reads, "put": writes, "delete": writes}


def _bucket(read: str, write: str) -> Bucket:
    return Bucket(_names(read), _names(write))


_OF_DATA = "annotation-ingest augmenter augmenter-work trainer trainer-work exporter exporter-work inference-annotate"
BUCKETS = {
    "labelstream-data": _bucket(_OF_DATA, _OF_DATA),
    "labelstream-models": _bucket("inference", "exporter"),
    "labelstream-resources": _bucket("exporter exporter-serve", "exporter"),
    "labelstream-incoming": _bucket("annotation-ingest inference-annotate", "producer inference-annotate"),
    "labelstream-uploads": _bucket("exporter-serve", "exporter-serve"),
    "payments": _bucket("", ""),
}
