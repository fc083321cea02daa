"""Which model answers for each project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inference.engine.contract import Engine
from labelstream.bundle import Manifest
from labelstream.errors import Rejected, Unavailable


@dataclass(frozen=True)
class ServingModel:
    """A proven model, opened and warm."""

    manifest: Manifest
    promotion: int
    engine: Engine


class Models:
    """One slot for each project. A swap replaces one reference: whoever took the old model finishes with it."""

    def __init__(self, projects: Iterable[str]) -> None:
        self._slots: dict[str, ServingModel | None] = dict.fromkeys(projects)

    @property
    def projects(self) -> tuple[str, ...]:
        """The projects that are served here, the default one first."""
        return tuple(self._slots)

    def serving(self) -> Mapping[str, ServingModel]:
        """Return what answers now, by project."""
        return {project: model for project, model in self._slots.items() if model is not None}

    def current(self, project: str) -> ServingModel | None:
        """Return the model in the slot of `project`, if there is one."""
        return self._slots.get(project)

    def get(self, project: str | None, pinned: str | None = None) -> ServingModel:
        """Return the model that answers for `project` (None: the default one), `pinned` or none.

        Raises Rejected, Unavailable.
        """
        name = self.projects[0] if project is None else project
        if name not in self._slots:
            raise Rejected(
                "project.unknown", f"the project {name!r} is not served here", f"Served are: {', '.join(self._slots)}."
            )
        model = self._slots[name]
        if model is None:
            raise Unavailable(f"a model of the project {name!r}", "none has been activated yet")
        if pinned is not None and pinned != model.manifest.model:
            raise Rejected(
                "model.not_here",
                f"the project {name!r} is answered by {model.manifest.model}, and not by {pinned!r}",
                "Leave out `model`, or ask for one that `/v1/models` lists.",
            )
        return model

    def swap(self, model: ServingModel) -> ServingModel | None:
        """Let `model` answer for its project from now on; return what answered before."""
        project = model.manifest.project
        before, self._slots[project] = self._slots[project], model
        return before
