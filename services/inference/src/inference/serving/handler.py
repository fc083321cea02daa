"""A promotion is heard; the model it names serves, or it is said why not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from inference.metrics import PROBATION
from inference.serving.keeping import Keeping
from inference.serving.loading import Loader
from inference.serving.models import Models, Reverted, ServingModel
from inference.serving.ports import Deliveries, Highest, Shelf
from inference.serving.probation import DIED, Probation
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected, Unavailable
from labelstream.events.model import ModelPromoted
from labelstream.events.serving import ModelActivated, ModelActivationFailed, ModelReverted
from labelstream.protection.promotions import PromotionStatement, check_promotion

MOST_DEATHS = 2  # of the service while a model is on probation: one may be anybody's fault

log = structlog.get_logger()


@dataclass(frozen=True)
class Activator:
    """Follows promotions of the projects that are served here.

    What touches the disk is slow at times: nothing that does runs in the event loop once requests are answered.
    """

    models: Models
    shelf: Shelf
    loader: Loader
    deliveries: Deliveries
    probation: Probation
    keeping: Keeping
    replica: str
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def check(self, project: str, promotion: ModelPromoted) -> PromotionStatement:
        """Return what was signed; nothing is believed that is not in it. Raises Rejected.

        The highest promotion may come again (the log is read anew at each start), a lower one may not.
        """
        highest = self.shelf.highest(project)
        statement = check_promotion(
            promotion.statement,
            promotion.statement_signature,
            self.loader.trusted_keys,
            project=project,
            above=highest.number - 1,
        )
        if (statement.number, statement.model) != (promotion.number, promotion.model):
            raise Rejected(
                "promotion.inconsistent",
                f"the event says promotion {promotion.number} of {promotion.model}, its statement another one",
                "Somebody put them together who did not sign them.",
            )
        if statement.number == highest.number and statement.model != highest.model:
            raise Rejected(
                "promotion.stale",
                f"number {statement.number} was {highest.model} before and is {statement.model} now",
                "Promote the model again, under a new number.",
            )
        return statement

    async def believe(self, statement: PromotionStatement) -> None:
        """Remember that no lower number may come any more."""
        highest = Highest(statement.number, statement.model)
        await self.keeping.write(partial(self.shelf.remember, statement.project, highest))

    def serves(self, statement: PromotionStatement) -> bool:
        """Say whether this very promotion is in service."""
        current = self.models.current(statement.project)
        return current is not None and current.promotion == statement.number

    def went_back(self, statement: PromotionStatement) -> bool:
        """Say whether this promotion was tried here, and another model answers instead: it is not tried again."""
        reverted = self.shelf.reverted(statement.project)
        is_it = reverted is not None and statement.number <= reverted.number
        return is_it and self.models.current(statement.project) is not None

    async def activate(self, statement: PromotionStatement, promotion: ModelPromoted) -> ModelActivated:
        """Fetch, verify, open, prove and swap. Raises Rejected, Unavailable; the old model serves meanwhile."""
        begun = time.monotonic()
        project, number = statement.project, statement.number
        try:
            directory = await self.deliveries.fetch(statement, promotion)
            current = self.models.current(project)
            model = await self._load(directory, statement, current.manifest.class_schema if current else None)
        except (Rejected, Unavailable):  # a part of it may fill the disk
            await asyncio.to_thread(self.shelf.discard, project, number)
            raise
        self.models.swap(model, on_probation=self.probation.is_held)
        self.probation.begin(model)
        behind = self.models.before(project)
        await self.keeping.write(partial(self.shelf.serve, project, promotion, behind.promotion if behind else None))
        return self._activated(model, time.monotonic() - begun)

    async def see_through(self, project: str) -> ModelReverted | None:
        """Wait for the end of a probation that has begun; return what is said when the model went back."""
        model = self.probation.on_trial(project)
        if model is None:
            return None
        with PROBATION.labels(project).track_inprogress():
            verdict = await self.probation.sit(model)
        if verdict is None:
            await self.keeping.write(partial(self.shelf.settle, project, model.promotion))
            return None
        reverted = Reverted(model.promotion, model.manifest.model, *verdict)
        await self.keeping.write(partial(self.shelf.revert, project, reverted))
        serving = self.models.current(project)
        return self._reverted(reverted, serving.manifest.model, serving.promotion) if serving else None

    def bury(self, project: str) -> ModelReverted | None:
        """Count a start during a probation; go back when the service died too often, and return what is said."""
        behind, promotion = self.shelf.behind(project), self.shelf.serving(project)
        if behind is None or promotion is None:
            return None
        deaths = behind.starts
        reason = f"the service died {deaths} times in its first minutes"
        reverted = Reverted(promotion.number, promotion.model, DIED, reason)
        try:
            if deaths < MOST_DEATHS:
                self.shelf.note_starts(project, behind.starts + 1)
                return None
            self.shelf.revert(project, reverted)
        except Unavailable as error:  # as good as not counted: what lies there is served all the same
            log.warning("probation.not_counted", project=project, reason=str(error))
            return None
        return self._reverted(reverted, behind.before.model, behind.before.number)

    def rest(self, project: str) -> None:
        """Take note that the service was told to stop: the next start tells nothing of the model."""
        try:
            self.shelf.note_starts(project, 0)
        except Unavailable as error:  # this start counts as one that ended in a death
            log.warning("probation.not_counted", project=project, reason=str(error))

    async def restore(self, project: str) -> ModelActivated | None:
        """Serve what this replica served before a restart; no network is needed. Raises Rejected, Unavailable."""
        promotion, behind = self.shelf.serving(project), self.shelf.behind(project)
        if promotion is None:
            return None
        begun = time.monotonic()
        try:
            model = await self._open(project, promotion)
        except Rejected:
            if behind is None:
                self.shelf.discard(project, promotion.number)
                raise
            self.shelf.serve(project, behind.before)  # removes the other
            return await self.restore(project)
        self.models.swap(model)
        reverted = self.shelf.reverted(project)
        if reverted is not None and reverted.number > promotion.number:
            self.models.remember(project, reverted)
        return self._activated(model, time.monotonic() - begun)

    async def restore_behind(self, project: str) -> bool:
        """Go on with a probation that a restart interrupted, from its beginning; say whether there is one."""
        current, behind = self.models.current(project), self.shelf.behind(project)
        if current is None or behind is None:
            return False
        if not self.probation.is_held:
            await self.keeping.write(partial(self.shelf.settle, project, current.promotion))
            return False
        try:
            before = await self._open(project, behind.before)
        except Rejected as error:  # what serves was proved as well as any
            log.warning("probation.ended", project=project, rule=error.rule, reason=error.reason)
            await self.keeping.write(partial(self.shelf.settle, project, current.promotion))
            return False
        if self.models.current(project) is not current:
            await asyncio.to_thread(before.engine.close)
            return False
        self.models.stand_behind(before)
        self.probation.begin(current)
        return True

    async def _open(self, project: str, promotion: ModelPromoted) -> ServingModel:
        """Open what lies on the shelf. Raises Rejected."""
        statement = check_promotion(
            promotion.statement,
            promotion.statement_signature,
            self.loader.trusted_keys,
            project=project,
            above=0,  # a newer one may have been believed and refused since
        )
        return await self._load(self.shelf.bundle(project, statement.number), statement)

    async def _load(
        self, directory: Path, statement: PromotionStatement, classes: ClassSchema | None = None
    ) -> ServingModel:
        """Load one model at a time, so that no more than one core is taken from those that answer."""
        async with self._loading:
            grant = await asyncio.to_thread(self.shelf.grant, statement.project, statement.number)
            return await asyncio.to_thread(self.loader.load, directory, grant, statement, classes)

    def failed(self, project: str, promotion: ModelPromoted, error: Rejected) -> ModelActivationFailed:
        """Return what is said of a promotion that was not followed."""
        current = self.models.current(project)
        return ModelActivationFailed(
            model=promotion.model,
            number=promotion.number,
            replica=self.replica,
            rule=error.rule,
            reason=error.reason,
            serving=current.manifest.model if current else None,
        )

    def _activated(self, model: ServingModel, seconds: float) -> ModelActivated:
        return ModelActivated(
            model=model.manifest.model,
            number=model.promotion,
            replica=self.replica,
            artifact=model.engine.artifact,
            seconds=round(seconds, 3),
        )

    def _reverted(self, reverted: Reverted, serving: str, serving_number: int) -> ModelReverted:
        return ModelReverted(
            model=reverted.model,
            number=reverted.number,
            replica=self.replica,
            rule=reverted.rule,
            reason=reverted.reason,
            serving=serving,
            serving_number=serving_number,
        )
