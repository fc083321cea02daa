"""A promotion is heard; the model it names serves, or it is said why not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from inference.serving.loading import Loader
from inference.serving.models import Models, ServingModel
from inference.serving.ports import Deliveries, Highest, Shelf
from labelstream.errors import Rejected
from labelstream.events.model import ModelPromoted
from labelstream.events.serving import ModelActivated, ModelActivationFailed
from labelstream.protection.promotions import PromotionStatement, check_promotion
from labelstream.protection.verifying import check_classes


@dataclass(frozen=True)
class Activator:
    """Follows promotions of the projects that are served here."""

    models: Models
    shelf: Shelf
    loader: Loader
    deliveries: Deliveries
    replica: str

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

    def believe(self, statement: PromotionStatement) -> None:
        """Remember that no lower number may come any more."""
        self.shelf.remember(statement.project, Highest(statement.number, statement.model))

    def serves(self, statement: PromotionStatement) -> bool:
        """Say whether this very promotion is in service."""
        current = self.models.current(statement.project)
        return current is not None and current.promotion == statement.number

    async def activate(self, statement: PromotionStatement, promotion: ModelPromoted) -> ModelActivated:
        """Fetch, verify, open, prove and swap. Raises Rejected, Unavailable; the old model serves meanwhile."""
        begun = time.monotonic()
        try:
            directory = await self.deliveries.fetch(statement, promotion)
            grant = self.shelf.grant(statement.project, statement.number)
            model = await asyncio.to_thread(self.loader.load, directory, grant, statement)
            current = self.models.current(statement.project)
            if current is not None:  # apps rely on what an id means
                check_classes(model.manifest, current.manifest.class_schema)
        except Rejected:
            self.shelf.discard(statement.project, statement.number)
            raise
        self.models.swap(model)
        await asyncio.to_thread(self.shelf.serve, statement.project, promotion)
        return self._activated(model, time.monotonic() - begun)

    async def restore(self, project: str) -> ModelActivated | None:
        """Serve what this replica served before it was restarted; no network is needed. Raises Rejected."""
        promotion = self.shelf.serving(project)
        if promotion is None:
            return None
        begun = time.monotonic()
        try:
            statement = check_promotion(
                promotion.statement,
                promotion.statement_signature,
                self.loader.trusted_keys,
                project=project,
                above=0,  # a newer one may have been believed and refused since
            )
            grant = self.shelf.grant(project, statement.number)
            directory = self.shelf.bundle(project, statement.number)
            model = await asyncio.to_thread(self.loader.load, directory, grant, statement)
        except Rejected:
            self.shelf.discard(project, promotion.number)
            raise
        self.models.swap(model)
        return self._activated(model, time.monotonic() - begun)

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
