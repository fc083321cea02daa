"""What is to be shown in MLflow, as data, and the port that shows it. Doing the same again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from labelstream.values import FileRef

CHAMPION = "champion"  # the alias of the version that serves
TAG = "labelstream."  # what our own tags begin with
JOB, MODEL = f"{TAG}job", f"{TAG}model"  # by which runs and versions are found again

Status = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class Measure:
    """A figure at a time; `step` is an epoch."""

    name: str
    value: float
    step: int
    time_ms: int


@dataclass(frozen=True)
class UsedDataset:
    """The dataset that a run trained on."""

    id: str
    source: Mapping[str, object]  # where it lies
    profile: Mapping[str, object]  # how much is in it


@dataclass(frozen=True)
class Artifact:
    """A stored file that belongs to a run, and its path there."""

    path: str
    file: FileRef


@dataclass(frozen=True)
class RunChange:
    """What an event adds to the run of its job."""

    job: str
    time_ms: int
    status: Status | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    measures: tuple[Measure, ...] = ()
    dataset: UsedDataset | None = None
    artifacts: tuple[Artifact, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of the job."""
        return self.status in {"FINISHED", "FAILED", "KILLED"}


@dataclass(frozen=True)
class VersionChange:
    """What an event adds to the version of its model."""

    model: str
    time_ms: int
    job: str | None = None  # the version is made of this job's run if there is none yet; None: there must be one
    tags: Mapping[str, str] = field(default_factory=dict)
    champion: bool = False  # the alias moves here


Change = RunChange | VersionChange


@dataclass(frozen=True)
class Place:
    """How far a stream is mirrored: its last event that is, and its id, by which another stream would be noticed."""

    offset: int
    event: str


Places = dict[str, Place]  # by stream


class Gone(Exception):
    """MLflow no longer has what it had: everything is looked up, and if need be mirrored, again."""


class Tracking(Protocol):
    """Where runs and models are shown.

    Each method may be called again with the same arguments, and then changes nothing. Raises Unavailable,
    Rejected when this is not taken, now or later, and Gone.
    """

    async def places(self, project: str) -> Places:
        """Return how far a project is mirrored; make its experiment when it has none."""
        ...

    async def reached(self, project: str, places: Places) -> None:
        """Remember how far a project is mirrored."""
        ...

    async def change_run(self, project: str, change: RunChange) -> None:
        """Change the run of a job, but for its files; make it if there is none."""
        ...

    async def add_file(self, project: str, job: str, path: str, file: Path) -> None:
        """Put a file beside the run of a job, over an older one of that path. Raises FileNotFoundError."""
        ...

    async def change_version(self, project: str, change: VersionChange) -> None:
        """Change the version of a model."""
        ...
