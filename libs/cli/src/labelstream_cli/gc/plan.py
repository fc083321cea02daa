"""What would go: a pure function of what the streams say, what the store holds, and the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from labelstream.blobs.ports import BlobInfo
from labelstream.events.base import ANNOTATION_EVENTS, BATCH_EVENTS
from labelstream_cli.gc.roots import Kind, Roots, Why

# An object that nothing names, and that is older than the stream that should name it, says that the stream was made
# anew. The first message comes a moment after the first object, and the clocks of broker and store may differ.
LEEWAY = timedelta(hours=1)
_NAMED_BY: Mapping[Kind, str] = {"image": ANNOTATION_EVENTS, "archive": BATCH_EVENTS}


@dataclass(frozen=True)
class Candidate:
    """An object that may go."""

    info: BlobInfo
    why: Why


@dataclass
class Tally:
    """How much there is of something."""

    objects: int = 0
    size_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        """Count one more."""
        self.objects += 1
        self.size_bytes += size_bytes


@dataclass(frozen=True)
class Plan:
    """What would go of one project, and what stays. With a doubt nothing goes."""

    project: str
    candidates: tuple[Candidate, ...] = ()
    doubts: tuple[str, ...] = ()
    staying: Mapping[str, Tally] = field(default_factory=dict)  # "image", "archive"
    young: Tally = field(default_factory=Tally)  # nothing refers to them, but their time is not up

    @property
    def size_bytes(self) -> int:
        """How much would be freed."""
        return sum(one.info.size_bytes for one in self.candidates)


class Sorting:
    """Takes the objects of a project one after the other, and sorts out what may go."""

    def __init__(
        self, roots: Roots, grace: timedelta, began_ms: Mapping[str, int | None], doubts: Iterable[str] = ()
    ) -> None:
        """Judge by `roots`; `began_ms`: when each stream's first message was stored, None while it is empty."""
        self._roots = roots
        self._grace = grace
        self._began_ms = began_ms
        self._doubts = dict.fromkeys(doubts)
        self._candidates: list[Candidate] = []
        self._staying: dict[str, Tally] = {"image": Tally(), "archive": Tally()}
        self._young = Tally()

    def take(self, info: BlobInfo) -> None:
        """Judge one object below `images/` or `archives/`."""
        read = self._roots.forms.read(info.key)
        if read is None:
            self._doubts[f"{info.key} is not a name that Labelstream gives: move it elsewhere"] = None
            return
        why = self._roots.why_not(info.key)
        if why is None:
            if read[0] != "note":
                self._staying[read[0]].add(info.size_bytes)
        elif is_young(info, self._grace):
            self._young.add(info.size_bytes)
        else:
            self._candidates.append(Candidate(info, why))
            if why.recipe is None:
                self._compare_with_stream(info, _NAMED_BY[why.kind])

    def plan(self, project: str) -> Plan:
        """Return what came of it."""
        doubts = tuple(self._doubts)
        candidates = () if doubts else tuple(sorted(self._candidates, key=lambda one: (one.why.kind, one.info.key)))
        return Plan(project, candidates, doubts, self._staying, self._young)

    def _compare_with_stream(self, info: BlobInfo, stream: str) -> None:
        began = self._began_ms.get(stream)
        if began is None:
            self._doubts[f"{stream} is empty, but the store has {_folder(info)}: was the stream made anew?"] = None
        elif info.modified < datetime.fromtimestamp(began / 1000, UTC) - LEEWAY:
            self._doubts.setdefault(
                f"{stream} begins at {datetime.fromtimestamp(began / 1000, UTC):%Y-%m-%d %H:%M}, but the store has "
                f"older {_folder(info)} that it does not name: was the stream made anew?"
            )


def is_young(info: BlobInfo, grace: timedelta) -> bool:
    """Say whether an object's time is not up, by the store's own clock."""
    return info.store_time - info.modified < grace


def plan(
    project: str,
    roots: Roots,
    objects: Iterable[BlobInfo],
    grace: timedelta,
    began_ms: Mapping[str, int | None],
    doubts: Iterable[str] = (),
) -> Plan:
    """Return what may go of `objects`."""
    sorting = Sorting(roots, grace, began_ms, doubts)
    for info in objects:
        sorting.take(info)
    return sorting.plan(project)


def _folder(info: BlobInfo) -> str:
    return info.key.split("/")[1]
