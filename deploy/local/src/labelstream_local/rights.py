"""Who may do what at the broker and in the object store: the one table that every deployment takes its users from.

A service has what its code does, and nothing else. As RabbitMQ sees it, a stream is a queue:

    configure   create it, and delete it: only the service that writes a stream may, and ingest for what it reads
    write       publish; for a queue, bind its exchange (of the same name) to it, too
    read        read it, take from it, ask for a publisher's last id

Whoever reads another's stream waits until it is there. Definitions that a broker imports hold no streams, and no queue
but `jobs.dead`: a node that imports them before it has joined its cluster would have the only replica of each. Nobody
but the operator may write to the default exchange, and with it to every queue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from labelstream import annotating, model_requests, training_requests
from labelstream.annotating import stream_of
from labelstream.events.base import (
    ACCESS_EVENTS,
    ANNOTATION_EVENTS,
    BATCH_EVENTS,
    MODEL_EVENTS,
    SERVING_EVENTS,
    TRAINING_EVENTS,
)
from labelstream.parked import INGEST as PARKED

DATA, MODELS, RESOURCES = "labelstream-data", "labelstream-models", "labelstream-resources"
INCOMING, UPLOADS = "labelstream-incoming", "labelstream-uploads"
OPERATOR, PRODUCER, MONITOR = "operator", "producer", "monitor"

ANY = "*"  # at the end of a name: whatever begins so
INPUTS, PROPOSALS = "<inputs>", "<proposals>"  # the streams of `Served`
JOBS_AUGMENT, JOBS_TRAIN, JOBS_EXPORT = "jobs.augment", "jobs.train", "jobs.export."
DEAD = "jobs.dead"  # where the broker puts what is no job; people look there
_OURS = (ANNOTATION_EVENTS, BATCH_EVENTS, TRAINING_EVENTS, MODEL_EVENTS, SERVING_EVENTS, ACCESS_EVENTS)
_OUR_BEGINNINGS = ("jobs.", "requests.", "parked.", "amq.")


def input_stream(project: str) -> str:
    """Return the stream that feeds a project: `annotations` for the default one."""
    return "annotations" if project == "default" else f"annotations.{project}"


@dataclass(frozen=True)
class Served:
    """What a deployment is for: projects, and input streams that are named otherwise than theirs."""

    projects: tuple[str, ...] = ("default",)
    more_inputs: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The streams that producers write."""
        more = (name for name in self.more_inputs if may_be_input(name) and name not in self.proposals)
        return (*map(input_stream, self.projects), *more)

    @property
    def proposals(self) -> tuple[str, ...]:
        """The streams that a model's annotations come on."""
        return tuple(map(stream_of, self.projects))


def may_be_input(name: str) -> bool:
    """Return whether an input stream may have this name: none that means something already."""
    return name not in _OURS and not name.startswith(_OUR_BEGINNINGS)


@dataclass(frozen=True)
class BrokerRights:
    """Names of streams, queues and exchanges, or how they begin; `tags` are RabbitMQ's, for its consoles."""

    configure: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __add__(self, other: BrokerRights) -> BrokerRights:
        return BrokerRights(
            self.configure + other.configure, self.write + other.write, self.read + other.read, self.tags + other.tags
        )


@dataclass(frozen=True)
class Patterns:
    """A user's permissions, as RabbitMQ has them: it looks for each pattern in a name."""

    configure: str
    write: str
    read: str


@dataclass(frozen=True)
class Principal:
    """A program or a person: a user of the broker, and an identity of the store if it may do anything there."""

    name: str
    broker: BrokerRights
    store: tuple[str, ...] = ()  # SeaweedFS's actions; whoever writes a bucket also deletes there


def _creates(*names: str) -> BrokerRights:
    return BrokerRights(configure=names)


def _writes(*names: str) -> BrokerRights:
    return BrokerRights(write=names)


def _reads(*names: str) -> BrokerRights:
    return BrokerRights(read=names)


def _owns(*names: str) -> BrokerRights:
    return BrokerRights(names, names, names)


def _works(*queues: str) -> BrokerRights:
    """Declare queues, whose dead letters may then go where people look; put there, and take from there."""
    return _owns(*queues) + _writes(DEAD)


def _may_read(bucket: str) -> tuple[str, ...]:
    return (f"Read:{bucket}", f"List:{bucket}")


def _may_write(bucket: str) -> tuple[str, ...]:
    return (f"Write:{bucket}",)


def _may_use(bucket: str) -> tuple[str, ...]:
    return (*_may_read(bucket), *_may_write(bucket))


RIGHTS = (
    Principal(
        OPERATOR,
        BrokerRights((ANY,), (ANY,), (ANY,), ("administrator",)),
        ("Admin", "Read", "List", "Tagging", "Write"),
    ),
    # A producer asks for its last id, which is reading: it could read what all producers of its stream wrote.
    Principal(PRODUCER, _writes(INPUTS) + _reads(INPUTS, ANNOTATION_EVENTS), _may_write(INCOMING)),
    Principal(MONITOR, BrokerRights(tags=("monitoring",))),
    Principal(
        "annotation-ingest",
        _owns(ANNOTATION_EVENTS, PARKED) + _creates(INPUTS, PROPOSALS) + _reads(INPUTS, PROPOSALS),
        (*_may_use(DATA), *_may_read(INCOMING)),
    ),
    Principal("augmenter", _owns(BATCH_EVENTS) + _reads(ANNOTATION_EVENTS) + _works(JOBS_AUGMENT), _may_use(DATA)),
    Principal("augmenter-work", _works(JOBS_AUGMENT), _may_use(DATA)),
    Principal(
        "trainer",
        _owns(TRAINING_EVENTS)
        + _reads(ANNOTATION_EVENTS, BATCH_EVENTS, MODEL_EVENTS)
        + _works(JOBS_TRAIN, training_requests.QUEUE),
        _may_use(DATA),
    ),
    Principal("trainer-work", _works(JOBS_TRAIN), _may_use(DATA)),
    Principal(
        "exporter",
        _owns(MODEL_EVENTS, ACCESS_EVENTS)
        + _reads(TRAINING_EVENTS)
        + _works(JOBS_EXPORT + ANY, model_requests.QUEUE, model_requests.GRANTS_QUEUE),
        (*_may_use(DATA), *_may_write(MODELS), *_may_use(RESOURCES)),
    ),
    Principal("exporter-work", _works(JOBS_EXPORT + ANY), _may_use(DATA)),
    # It faces the public: it can put wishes for grants and entries of the audit log, and take nothing away.
    Principal(
        "exporter-serve",
        _reads(MODEL_EVENTS, ACCESS_EVENTS) + _writes(ACCESS_EVENTS, model_requests.GRANTS_QUEUE),
        (*_may_read(RESOURCES), *_may_use(UPLOADS)),
    ),
    Principal("inference", _owns(SERVING_EVENTS) + _reads(MODEL_EVENTS), _may_read(MODELS)),
    Principal(
        "inference-annotate",
        _writes(PROPOSALS) + _reads(PROPOSALS) + _works(annotating.QUEUE),
        (*_may_use(DATA), *_may_use(INCOMING)),
    ),
)
BY_NAME = {principal.name: principal for principal in RIGHTS}
USERS = tuple(BY_NAME)  # of the broker
IDENTITIES = tuple(principal for principal in RIGHTS if principal.store)  # of the store


def patterns(rights: BrokerRights, served: Served) -> Patterns:
    """Return the permissions where some projects are served; a pattern holds for a whole name, or for none."""
    return Patterns(*(_pattern(names, served) for names in (rights.configure, rights.write, rights.read)))


def _pattern(names: Iterable[str], served: Served) -> str:
    spelled = dict.fromkeys(one for name in names for one in _spelled(name, served))
    return f"^({'|'.join(spelled)})$" if spelled else "^$"


def _spelled(name: str, served: Served) -> Iterable[str]:
    if name in (INPUTS, PROPOSALS):
        return map(_exactly, served.inputs if name == INPUTS else served.proposals)
    return [_exactly(name.removesuffix(ANY)) + (".*" if name.endswith(ANY) else "")]


def _exactly(name: str) -> str:
    return re.escape(name).replace(r"\-", "-")  # a hyphen means nothing outside of brackets
