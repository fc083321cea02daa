"""Which streams there are, who writes them, and how far each goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rstream.exceptions import StreamDoesNotExist

from labelstream.blobs.ports import Blobs
from labelstream.errors import Unavailable
from labelstream.events.base import (
    ACCESS_EVENTS,
    ANNOTATION_EVENTS,
    BATCH_EVENTS,
    MODEL_EVENTS,
    SERVING_EVENTS,
    TRAINING_EVENTS,
)
from labelstream.parked import INGEST
from labelstream.producer.producer import DEFAULT_NAME
from labelstream.streams.ports import Broker
from labelstream_cli.backup.archiving import Archiver, Signatures
from labelstream_cli.backup.book import Limits, Segment, Snapshot, StreamBackup
from labelstream_cli.backup.retention import limits_of
from labelstream_cli.reaching import Tell, last_offset, not_told

# What speaks of others stands before them: ends are noted in this order, so that the end of each stream covers what the
# ones before it say. In the same order, and the inputs last, streams are restored: a service that starts too early
# finds its answers before its questions.
OWN: Final = (SERVING_EVENTS, ACCESS_EVENTS, MODEL_EVENTS, TRAINING_EVENTS, BATCH_EVENTS, ANNOTATION_EVENTS, INGEST)
# Of these the messages say who wrote them, and under which publishing id.
SIGNED: Final = (ACCESS_EVENTS, MODEL_EVENTS, TRAINING_EVENTS, BATCH_EVENTS, ANNOTATION_EVENTS)
# Publishers of our own whom no message names: the commands, a producer without a name, and the stack's annotator.
USUAL: Final = (
    "labelstream-push",
    "labelstream-demo",
    "labelstream-schema",
    "labelstream-parked",
    "labelstream-erase",
    "annotate.local",
    DEFAULT_NAME,
)
_INGEST: Final = "annotation-ingest."  # with the name of an input behind it: who answers that input


@dataclass(frozen=True)
class Wanted:
    """What a person says of the streams."""

    streams: tuple[str, ...] = ()  # inputs that nothing else names
    publishers: tuple[str, ...] = ()  # of inputs, whom nothing else names
    limits: Mapping[str, Limits] = field(default_factory=dict)


@dataclass
class Streams:
    """Every stream on its way into the backup."""

    files: Blobs
    broker: Broker
    before: Snapshot | None
    fed: Sequence[str]  # the inputs that the stack says it has
    wanted: Wanted
    tell: Tell = not_told
    dry: bool = False  # write nothing
    gone: list[str] = field(default_factory=list)  # they were backed up before, and are not there any more
    _archivers: dict[str, Archiver] = field(default_factory=dict)
    _firsts: dict[str, int] = field(default_factory=dict)
    _ends: dict[str, int] = field(default_factory=dict)
    _noted: dict[str, dict[str, int]] = field(default_factory=dict)  # stream → publisher → last id, as the broker says

    async def read(self) -> None:
        """Read every stream up to its end of now. Raises CommandFailed when one was made anew, Unavailable."""
        for stream in OWN:
            await self._read(stream)
        for stream in self.inputs():
            await self._read(stream)

    async def note_ends(self) -> None:
        """Find out how far each stream goes: this is what the backup will hold."""
        for stream in OWN:
            await self._note(stream)
        for stream in self.inputs():
            await self._note(stream)

    async def finish(self) -> list[StreamBackup]:
        """Read up to the ends that were noted, and write everything down; return what the backup holds then."""
        done = []
        for stream, archiver in self._archivers.items():
            await archiver.read_to(self._ends.get(stream, -1))
            backup = await archiver.finish()
            limits = await self._limits(stream)
            done.append(backup.model_copy(update={**self._publishers(archiver), "limits": limits}))
        return done + self._carried()

    def inputs(self) -> list[str]:
        """Return the streams that were answered, are fed by a project of the stack, or were named."""
        signed = self._archivers[ANNOTATION_EVENTS].signed if ANNOTATION_EVENTS in self._archivers else None
        known = [*(signed.stamped if signed else ()), *self._publishers_before(ANNOTATION_EVENTS)]
        answered = [name.removeprefix(_INGEST) for name in known if name.startswith(_INGEST)]
        before = [one.stream for one in self.before.streams if one.stream not in OWN] if self.before else []
        return list(dict.fromkeys((*answered, *self.fed, *self.wanted.streams, *before)))

    def ends(self) -> dict[str, tuple[int, int]]:
        """Return for each stream the first offset that is not backed up yet, and the last one there is."""
        return {stream: (first, self._ends.get(stream, -1)) for stream, first in self._firsts.items()}

    def written(self) -> list[Segment]:
        """Return the files that this backup added."""
        return [segment for archiver in self._archivers.values() for segment in archiver.written]

    async def look(self) -> None:
        """Find the streams and their ends, and read nothing but what tells the inputs."""
        for stream in OWN:
            await self._open(stream)
        if ANNOTATION_EVENTS in self._archivers:
            await self._read(ANNOTATION_EVENTS)
        for stream in self.inputs():
            await self._open(stream)
        for stream in self._archivers:
            self._ends[stream] = await self._end(stream)

    async def _open(self, stream: str) -> Archiver | None:
        if stream not in self._archivers:
            known = self.before.stream(stream) if self.before else None
            if not await exists(self.broker, stream):  # a project that nobody annotates may lack its inputs
                return None
            signed = Signatures() if stream in OWN else None
            known = known or StreamBackup(stream=stream)
            archiver = Archiver(self.files, self.broker, known, signed, self.tell, self.dry)
            await archiver.begin()
            self._archivers[stream] = archiver
            self._firsts[stream] = archiver.next_offset
        return self._archivers[stream]

    async def _read(self, stream: str) -> None:
        archiver = await self._open(stream)
        if archiver is not None:
            await archiver.read_to(await self._end(stream))

    async def _note(self, stream: str) -> None:
        """Note the publishers before the end: a message that comes between is sent twice rather than never."""
        if await self._open(stream) is not None:
            candidates = self._candidates(stream)
            asked = {name: await self.broker.last_publishing_id(stream, name) for name in candidates}
            self._noted[stream] = {name: number for name, number in asked.items() if number > 0}
            self._ends[stream] = await self._end(stream)

    async def _end(self, stream: str) -> int:
        last = await last_offset(self.broker, stream)
        return -1 if last is None else last

    def _candidates(self, stream: str) -> list[str]:
        """Return the names under which this stream may have been written, as far as its messages do not say it."""
        signed = self._archivers[stream].signed
        found = [*self._publishers_before(stream), *self.wanted.publishers, *(signed.sources if signed else ())]
        if stream == INGEST:
            answering = [f"{_INGEST}{one}" for one in self.inputs()]
            found += [*answering, *(f"{one}.again" for one in answering), *USUAL]
        elif stream not in OWN:
            found += USUAL
        said = self._signed(self._archivers[stream])
        return sorted(set(found) - set(said))

    def _publishers(self, archiver: Archiver) -> dict[str, object]:
        """Return the fields of a stream's backup that tell its publishers."""
        stream, signed = archiver.known.stream, self._signed(archiver)
        before = {name: number for name, number in archiver.known.publishers.items() if name in signed}
        publishers = {**self._noted.get(stream, {}), **before}
        for name, number in (archiver.signed.stamped if archiver.signed else {}).items():
            publishers[name] = max(publishers.get(name, 0), number)
        return {"publishers": dict(sorted(publishers.items())), "signed": tuple(signed)}

    def _signed(self, archiver: Archiver) -> list[str]:
        if archiver.known.stream not in SIGNED or archiver.signed is None:
            return []
        return sorted({*archiver.known.signed, *archiver.signed.stamped})

    def _publishers_before(self, stream: str) -> Iterable[str]:
        known = self.before.stream(stream) if self.before else None
        return known.publishers if known else ()

    async def _limits(self, stream: str) -> Limits:
        known = self.before.stream(stream) if self.before else None
        return await limits_of(self.broker, stream, self.wanted.limits.get(stream), known.limits if known else None)

    def _carried(self) -> list[StreamBackup]:
        """Return what was backed up of streams that are gone."""
        old = [one for one in self.before.streams if one.stream not in self._archivers] if self.before else []
        self.gone = [one.stream for one in old]
        return old


async def exists(broker: Broker, stream: str) -> bool:
    """Say whether there is such a stream. Raises Unavailable."""
    try:
        await broker.last_offset(stream)
    except Unavailable as error:
        if isinstance(error.__cause__, StreamDoesNotExist):
            return False
        raise
    return True
