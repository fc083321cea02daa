"""A tracking server in memory: the double of `mlflow`, held to the same contract suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labelstream.errors import Rejected, Unavailable
from labelstream.values import sha256_hex
from trainer.mirror.changes import Gone, Measure, Place, Places, RunChange, Status, UsedDataset, VersionChange


@dataclass
class ShownRun:
    """A run as a person sees it."""

    started_ms: int
    status: Status = "RUNNING"
    ended_ms: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    measures: set[Measure] = field(default_factory=set)
    dataset: UsedDataset | None = None
    files: dict[str, str] = field(default_factory=dict)  # path → SHA-256


@dataclass
class ShownVersion:
    """A version of the project's registered model."""

    model: str
    job: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Shown:
    """All that is shown of a project."""

    runs: dict[str, ShownRun] = field(default_factory=dict)  # by job
    versions: list[ShownVersion] = field(default_factory=list)  # the first is version 1
    champion: int | None = None  # the version with the alias
    places: Places = field(default_factory=dict)


@dataclass
class MemoryTracking:
    """Lives as long as this object (see Tracking). Set `away` to a reason to take it down."""

    away: str | None = None
    projects: dict[str, Shown] = field(default_factory=dict)

    async def places(self, project: str) -> Places:
        """Return how far a project is mirrored."""
        self._answer()
        return dict(self.projects.setdefault(project, Shown()).places)

    async def reached(self, project: str, places: Mapping[str, Place]) -> None:
        """Remember how far a project is mirrored."""
        self._shown(project).places.update(places)

    async def change_run(self, project: str, change: RunChange) -> None:
        """Change the run of a job; make it if there is none."""
        run = self._shown(project).runs.setdefault(change.job, ShownRun(change.time_ms))
        changed = [name for name, value in change.params.items() if run.params.get(name, value) != value]
        if changed:
            raise Rejected(
                "memory.param", f"{', '.join(changed)} of {change.job} can't be changed", "Make another run."
            )
        run.params |= change.params
        run.tags |= change.tags
        known = {repr(measure) for measure in run.measures}  # one NaN is not another
        run.measures |= {measure for measure in change.measures if repr(measure) not in known}
        run.dataset = change.dataset or run.dataset
        run.status = change.status or run.status
        run.ended_ms = change.time_ms if change.ended else run.ended_ms

    async def add_file(self, project: str, job: str, path: str, file: Path) -> None:
        """Put a file beside the run of a job."""
        self._shown(project).runs[job].files[path] = sha256_hex(file.read_bytes())  # noqa: ASYNC240  a test's file

    async def change_version(self, project: str, change: VersionChange) -> None:
        """Change the version of a model; make it of a job's run."""
        shown = self._shown(project)
        numbers = {version.model: number for number, version in enumerate(shown.versions, 1)}
        if change.model not in numbers:
            if change.job is None:
                raise Rejected("memory.version", f"there is no version of {change.model}", "Export it first.")
            shown.versions.append(ShownVersion(change.model, change.job))
            numbers[change.model] = len(shown.versions)
        number = numbers[change.model]
        shown.versions[number - 1].tags |= change.tags
        shown.champion = number if change.champion else shown.champion

    def forget(self) -> None:
        """Lose everything, as a server that was set up anew."""
        self.projects.clear()

    def _shown(self, project: str) -> Shown:
        self._answer()
        if project not in self.projects:
            raise Gone(project)
        return self.projects[project]

    def _answer(self) -> None:
        if self.away is not None:
            raise Unavailable("MLflow", self.away)
