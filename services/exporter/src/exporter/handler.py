"""Decides what is exported, refused and promoted: the one writer of `model-events`."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from exporter.domain import Ledger, Published, Trained, disagreement, export_job_id, why_promote
from exporter.granting import Granting
from exporter.publishing import Publishing
from exporter.settings import DeciderGroup
from exporter.worker import ONNX_FP32, QUEUE, ExportLeft, ExportOrder
from labelstream.errors import Rejected
from labelstream.events.base import MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import Agreement, ModelEvent, ModelPromoted, ModelRefused
from labelstream.jobs.desk import Desk
from labelstream.jobs.ports import Job
from labelstream.jobs.worker import Failure
from labelstream.protection.promotions import PromotionStatement, promote
from labelstream.service.health import Health
from labelstream.streams.journal import Journal

NAME = "exporter"

log = structlog.get_logger()


@dataclass
class Decider:
    """Answers every finished training with a model or a refusal, and promotes the better model."""

    journal: Journal
    ledger: Ledger
    desk: Desk
    publishing: Publishing
    granting: Granting
    settings: DeciderGroup
    health: Health

    async def tick(self) -> None:
        """Do whatever is due; raises Unavailable, and does the rest when it is called again."""
        for trained in self.ledger.unanswered():
            await self._export(trained)
        for candidate in self.ledger.candidates():
            await self._consider(candidate)
        for project in self.ledger.promotions:
            champion = self.ledger.champion(project)
            if champion is not None:
                await self._granted(project, champion.exported.model)

    async def _export(self, trained: Trained) -> None:
        job = self._job(trained)
        standing = await self.desk.standing(trained.project, job.id)
        if standing is not None and standing.failure is not None:
            await self._refuse(trained, standing.failure)
        elif standing is not None and standing.result is not None:
            left = ExportLeft.model_validate_json(standing.result)
            problem = disagreement(left.agreement, self.settings.max_box_px, self.settings.max_score)
            if problem is not None:
                await self._refuse(trained, Failure(rule="export.disagrees", reason=problem), left.agreement)
            else:
                await self._publish(trained, left)
        else:
            await self.desk.offer(QUEUE, job, standing)

    async def _publish(self, trained: Trained, left: ExportLeft) -> None:
        try:
            exported = await self.publishing.publish(trained, left)
        except Rejected as error:
            return await self._refuse(trained, Failure(rule=error.rule, reason=error.reason))
        return await self._say(exported, trained.envelope, answers=trained.training.job)

    def _job(self, trained: Trained) -> Job:
        training, settings = trained.training, self.settings
        order = ExportOrder(
            weights=training.weights,
            architecture=training.architecture,
            dataset=training.dataset,
            confidence=settings.confidence,
            iou=settings.iou,
            golden_images=settings.golden_images,
            proof_images=settings.proof_images,
        )
        return Job(
            project=trained.project,
            id=export_job_id(trained.project, training, ONNX_FP32),
            payload=order.model_dump(mode="json"),
            flow=trained.envelope.flow,
            traceparent=trained.envelope.traceparent,
        )

    async def _refuse(self, trained: Trained, failure: Failure, agreement: Agreement | None = None) -> None:
        refused = ModelRefused(
            model=export_job_id(trained.project, trained.training, ONNX_FP32),
            input=trained.input,
            job=trained.training.job,
            rule=failure.rule,
            reason=failure.reason,
            agreement=agreement,
        )
        await self._say(refused, trained.envelope, answers=trained.training.job)

    async def _consider(self, candidate: Published) -> None:
        """Promote a model when it is better than the champion; its grants are there before anybody hears of it."""
        champion = self.ledger.champion(candidate.project)
        exported = candidate.exported
        reason = why_promote(exported, champion.exported if champion else None, self.settings.min_gain)
        if reason is None or not await self._granted(candidate.project, exported.model):
            return
        _, last = self.ledger.promotions.get(candidate.project, (0, None))
        statement = PromotionStatement(
            project=candidate.project,
            model=exported.model,
            number=last.number + 1 if last else 1,
            manifest_sha256=exported.manifest.sha256,
            signed_ms=int(time.time() * 1000),
        )
        signed = promote(statement, self.settings.signing_key)
        promoted = ModelPromoted(
            model=exported.model,
            number=statement.number,
            manifest=exported.manifest,
            signature=exported.signature,
            statement=signed.statement,
            statement_signature=signed.signature,
            reason=reason,
        )
        await self._say(promoted, candidate.envelope, answers=f"{exported.model}/{statement.number}")

    async def _granted(self, project: str, model: str) -> bool:
        """Make the grants that are missing; a lost or foreign key stops nothing else, but somebody should look."""
        try:
            await self.granting.grant_all(project, model)
        except Rejected as error:
            self.health.degraded(f"grants of {project}", f"{error.rule}: {error.reason}")
            return False
        self.health.degraded(f"grants of {project}", None)
        return True

    async def _say(self, event: ModelEvent, cause: Envelope, answers: str) -> None:
        envelope = Envelope.of(
            event,
            source=NAME,
            answers=answers,
            project=cause.project,
            flow=cause.flow,
            traceparent=cause.traceparent,
        )
        await self.journal.append(NAME, [(self.journal.sequences[NAME] + 1, envelope)])
        log.info(event.type, project=cause.project, model=event.model, stream=MODEL_EVENTS)
        self.health.fact("model", {p: e.model for p, (_, e) in self.ledger.promotions.items()})
