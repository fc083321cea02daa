"""Promotes and withdraws models, one thing at a time: no two promotions can take one number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import structlog

from exporter.registry.candidates import candidates, later_edition, projects_of
from exporter.registry.intervals import champion_intervals
from exporter.registry.policy import PromotionPolicy, Verdict, on_better, on_first
from labelstream.blobs.ports import Blobs
from labelstream.champions import compared
from labelstream.errors import Rejected
from labelstream.events.model import ModelEvent, ModelPromoted, ModelWithdrawn
from labelstream.events.training import TrainingFinished
from labelstream.models import ModelBook, ModelState
from labelstream.protection.promotions import PromotionStatement, promote
from labelstream.service.health import Health

Cause = Literal["policy", "request", "rollback", "edition"]

log = structlog.get_logger()


class Voice(Protocol):
    """Says events on `model-events`, and has folded them into the book when it returns."""

    async def say(
        self, event: ModelEvent, project: str, flow: str = "", traceparent: str = "", answers: str = ""
    ) -> object:
        """Publish one event."""
        ...


@dataclass
class Promoting:
    """Decides which model serves: by the policy, and as people ask for it."""

    book: ModelBook
    voice: Voice
    trained: Callable[[str], TrainingFinished | None]  # by training job; None while it was not heard of yet
    data: Blobs
    policy: PromotionPolicy
    signing_key: Path
    health: Health
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _passed_over: dict[str, str] = field(default_factory=dict)  # candidate → why; the next promotion ends candidacies

    async def consider(self) -> None:
        """Promote what the policy wants to serve; raises Unavailable, and goes on when it is called again."""
        async with self._lock:
            waiting: dict[str, str] = {}
            for project in projects_of(self.book):
                edition = later_edition(self.book, project)
                if edition is not None:
                    await self._promote(edition, _more_formats(self.book, edition), "edition")
                waiting |= await self._best_of(project)
            self._passed_over = {model: why for model, why in self._passed_over.items() if model in waiting}
            self.health.fact("not_promoted", waiting)

    async def promote(self, state: ModelState, *, reason: str, cause: Cause, by: str = "") -> ModelPromoted:
        """Let a model serve; return its promotion, the present one when it serves already.

        Raises Rejected (model.withdrawn), Unavailable.
        """
        async with self._lock:
            return await self._promote(state, reason, cause, by)

    async def withdraw(self, state: ModelState, *, reason: str, by: str) -> bool:
        """Withdraw a model; False: it was already. Raises Rejected (model.serves), Unavailable."""
        async with self._lock:
            if state.withdrawn is not None:
                return False
            if self.book.champion(state.project) is state:
                raise Rejected(
                    "model.serves",
                    f"the model {state.model} serves in {state.project}",
                    "Roll back first, or promote another: `labelstream models rollback --why …`.",
                )
            event = ModelWithdrawn(model=state.model, reason=reason, by=by)
            await self._say(event, state, answers=f"{state.model}/withdrawn")
            return True

    async def _best_of(self, project: str) -> dict[str, str]:
        """Promote the first candidate that may serve; return those that may not, and why."""
        passed_over: dict[str, str] = {}
        for candidate in candidates(self.book, project):
            verdict = await self._verdict(candidate)
            if verdict is None:  # a worse one must not end its candidacy
                return {**passed_over, candidate.model: "its training was not heard of yet"}
            if verdict.promote:
                await self._promote(candidate, verdict.reason, "policy")
                return {}
            passed_over[candidate.model] = verdict.reason
            self._tell(candidate, verdict.reason)
        return passed_over

    async def _verdict(self, candidate: ModelState) -> Verdict | None:
        """Judge a candidate; None while it is not known whom its training measured it against."""
        known = self._passed_over.get(candidate.model)
        if known is not None:
            return Verdict(False, known)
        champion = self.book.champion(candidate.project)
        if champion is None:
            return on_first(candidate.exported, self.policy)
        trained = self.trained(candidate.exported.job)
        if trained is None:
            return None
        found = compared(self.book, candidate, champion, trained)
        intervals = await champion_intervals(self.data, trained) if found.how == "measured" else {}
        return on_better(found, self.policy, intervals)

    def _tell(self, candidate: ModelState, reason: str) -> None:
        """Say once why a candidate does not serve."""
        if candidate.model not in self._passed_over:
            self._passed_over[candidate.model] = reason
            log.info("candidate.not_promoted", project=candidate.project, model=candidate.model, reason=reason)

    async def _promote(self, state: ModelState, reason: str, cause: Cause, by: str = "") -> ModelPromoted:
        if state.withdrawn is not None:
            raise Rejected(
                "model.withdrawn",
                f"the model {state.model} was withdrawn by {state.withdrawn.by or 'somebody'}: "
                f"{state.withdrawn.reason or 'without a reason'}",
                "Promote another one; what was withdrawn never serves again.",
            )
        last = self.book.promotion(state.project)
        if last is not None and last.event.model == state.model:
            return last.event
        number = last.event.number + 1 if last else 1
        exported = state.exported
        statement = PromotionStatement(
            project=state.project,
            model=state.model,
            number=number,
            manifest_sha256=exported.manifest.sha256,
            signed_ms=int(time.time() * 1000),
        )
        signed = promote(statement, self.signing_key)
        promoted = ModelPromoted(
            model=state.model,
            number=number,
            manifest=exported.manifest,
            signature=exported.signature,
            statement=signed.statement,
            statement_signature=signed.signature,
            reason=reason,
            cause=cause,
            by=by,
            annotated_ms=exported.annotated_ms,
        )
        await self._say(promoted, state, answers=f"{state.model}/{number}")
        stored = self.book.promotion(state.project)
        return stored.event if stored is not None else promoted  # an earlier try of the same may have been stored

    async def _say(self, event: ModelEvent, state: ModelState, *, answers: str) -> None:
        cause = state.envelope
        await self.voice.say(
            event, state.project, flow=cause.flow, traceparent=cause.traceparent, answers=answers
        )  # fmt: skip


def _more_formats(book: ModelBook, edition: ModelState) -> str:
    champion = book.champion(edition.project)
    before = {each.name for each in champion.exported.artifacts} if champion else set()
    added = [each.name for each in edition.exported.artifacts if each.name not in before]
    return f"edition {edition.exported.edition} of the model in service, with {', '.join(added) or 'the same formats'}"
