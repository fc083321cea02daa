"""Which model answers for each project, which one stands behind it, and when an engine may be closed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from inference.engine.contract import Engine
from inference.serving.memory import give_back
from labelstream.bundle import Manifest
from labelstream.errors import Rejected, Unavailable


@dataclass(frozen=True, eq=False)  # two openings of one bundle are two models
class ServingModel:
    """A proven model, opened and warm."""

    manifest: Manifest
    promotion: int  # 0: pulled without ever having been promoted
    engine: Engine


class Gone(Exception):
    """A model stands in no slot any more, and nobody uses it."""


class Reverted(NamedTuple):
    """A promotion that went back on probation, and why."""

    number: int
    model: str
    rule: str
    reason: str


@dataclass
class _Slot:
    """What a project has."""

    current: ServingModel | None = None
    before: ServingModel | None = None  # the last one that proved itself, while `current` is on probation
    reverted: Reverted | None = None  # what was tried last, and went back

    def holds(self, model: ServingModel) -> bool:
        return model is self.current or model is self.before


class Models:
    """One slot for each project. A swap replaces one reference: whoever took the old model finishes with it.

    An engine is closed when its model stands in no slot any more and the last request that took it has ended.
    """

    def __init__(self, projects: Iterable[str]) -> None:
        self._slots = {project: _Slot() for project in projects}
        self._uses: Counter[ServingModel] = Counter()
        self._lock = threading.Lock()  # held for a few lookups at most
        self._closer = ThreadPoolExecutor(1, thread_name_prefix="closing")

    @property
    def projects(self) -> tuple[str, ...]:
        """The projects that are served here, the default one first."""
        return tuple(self._slots)

    def serving(self) -> Mapping[str, ServingModel]:
        """Return what answers now, by project."""
        return {project: slot.current for project, slot in self._slots.items() if slot.current is not None}

    def current(self, project: str) -> ServingModel | None:
        """Return the model in the slot of `project`, if there is one."""
        slot = self._slots.get(project)
        return slot.current if slot else None

    def before(self, project: str) -> ServingModel | None:
        """Return the model that takes over again when the current one, which is on probation, goes back."""
        return self._slots[project].before

    def reverted(self, project: str) -> Reverted | None:
        """Return the newest promotion, when it was tried and went back."""
        return self._slots[project].reverted

    def get(self, project: str | None, pinned: str | None = None) -> ServingModel:
        """Return the model that answers for `project` (None: the default one), `pinned` or none.

        What it returns may be closed at any time: to run its engine, take it by `using`. Raises Rejected, Unavailable.
        """
        name = self.projects[0] if project is None else project
        if name not in self._slots:
            raise Rejected(
                "project.unknown", f"the project {name!r} is not served here", f"Served are: {', '.join(self._slots)}."
            )
        slot = self._slots[name]
        model, before = slot.current, slot.before
        if model is None:
            raise Unavailable(f"a model of the project {name!r}", "none has been activated yet")
        if pinned is None or pinned == model.manifest.model:
            return model
        if before is not None and pinned == before.manifest.model:
            return before
        raise Rejected(
            "model.not_here",
            f"the project {name!r} is answered by {model.manifest.model}, and not by {pinned!r}",
            "Leave out `model`, or ask for one that `/v1/models` lists.",
        )

    @contextmanager
    def using(self, project: str | None, pinned: str | None = None) -> Iterator[ServingModel]:
        """Take the model that answers, as `get` does; its engine stays open inside. Raises Rejected, Unavailable."""
        with self._lock:
            model = self.get(project, pinned)
            self._uses[model] += 1
        try:
            yield model
        finally:
            self._leave(model)

    @contextmanager
    def standing_in(self, model: ServingModel) -> Iterator[ServingModel | None]:
        """Take the model that answers when `model` can't, open inside: the one behind it, or the one that replaced it.

        None when there is no other.
        """
        with self._lock:
            slot = self._slots[model.manifest.project]
            other = slot.before if model is slot.current else slot.current
            if other is not None:
                self._uses[other] += 1
        try:
            yield other
        finally:
            if other is not None:
                self._leave(other)

    @contextmanager
    def holding(self, model: ServingModel) -> Iterator[None]:
        """Keep the engine of `model` open inside. Raises Gone when it may be closed already."""
        with self._lock:
            if not (self._uses[model] or self._slots[model.manifest.project].holds(model)):
                raise Gone(model.manifest.model)
            self._uses[model] += 1
        try:
            yield
        finally:
            self._leave(model)

    def swap(self, model: ServingModel, *, on_probation: bool = False) -> None:
        """Let `model` answer for its project from now on.

        On probation, the last model that proved itself stays open behind it.
        """
        with self._changed(model.manifest.project) as slot:
            slot.before = (slot.before or slot.current) if on_probation else None
            slot.current, slot.reverted = model, None

    def stand_behind(self, model: ServingModel) -> None:
        """Let `model` take over when the current one of its project goes back."""
        with self._changed(model.manifest.project) as slot:
            slot.before = model

    def revert(self, model: ServingModel, rule: str, reason: str) -> ServingModel | None:
        """Let the model behind `model` answer again; return it, or None when nothing stands behind it (any more)."""
        with self._changed(model.manifest.project) as slot:
            if slot.current is not model or slot.before is None:
                return None
            slot.current, slot.before = slot.before, None
            slot.reverted = Reverted(model.promotion, model.manifest.model, rule, reason)
            return slot.current

    def remember(self, project: str, reverted: Reverted) -> None:
        """Say that a promotion was tried before this process was started, and went back."""
        self._slots[project].reverted = reverted

    def release(self, model: ServingModel) -> None:
        """End the probation of `model`: what stood behind it goes."""
        with self._changed(model.manifest.project) as slot:
            if slot.current is model:
                slot.before = None

    def close(self) -> None:
        """Close every engine; nothing may be in work any more."""
        for project in self._slots:
            with self._changed(project) as slot:
                slot.current = slot.before = None
        self._closer.shutdown(wait=True)

    @contextmanager
    def _changed(self, project: str) -> Iterator[_Slot]:
        """Change a slot; what stands in it no more is closed, once nobody uses it. That takes a while: nobody waits."""
        with self._lock:
            slot = self._slots[project]
            held = [slot.current, slot.before]
            try:
                yield slot
            finally:
                for model in held:
                    if model is not None:
                        self._close_when_done(model)

    def _leave(self, model: ServingModel) -> None:
        with self._lock:
            self._uses[model] -= 1
            self._close_when_done(model)

    def _close_when_done(self, model: ServingModel) -> None:
        """Close a model that nobody uses and that stands in no slot; called under the lock, so that it happens once."""
        if self._uses[model]:
            return
        del self._uses[model]
        if not self._slots[model.manifest.project].holds(model):
            self._closer.submit(_close, model.engine)


def _close(engine: Engine) -> None:
    engine.close()
    give_back()
