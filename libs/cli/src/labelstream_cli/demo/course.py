"""The course of a demonstration on a running stack: push, wait for each stage, check, ask."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from labelstream.blobs.s3 import S3Blobs
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.training import TrainingFinished
from labelstream.jobs.rabbitmq import RabbitJobQueue
from labelstream.producer import Producer
from labelstream.service.health import Health
from labelstream.streams.rabbitmq import RabbitBroker
from labelstream_cli.asking_to_train import ask_for_training
from labelstream_cli.demo.display import Display
from labelstream_cli.demo.following import Follower
from labelstream_cli.demo.heldout import Compared, compare, test_names
from labelstream_cli.demo.plan import Plan
from labelstream_cli.demo.proof import Proof, prove
from labelstream_cli.demo.report import report_of
from labelstream_cli.demo.sheet import write_sheet
from labelstream_cli.demo.stages import Course
from labelstream_cli.demo.state import DemoState
from labelstream_cli.demo.watching import Programs, refusal
from labelstream_cli.push.publishing import Pushed, publish
from labelstream_cli.running import CommandFailed
from labelstream_local.asking import get
from labelstream_local.rights import PRODUCER, input_stream
from labelstream_local.stack import Stack

NAME = "labelstream-demo"
KNOWN_AFTER_S = 15.0  # a request that names a known dataset causes no event
CHAMPION_AFTER_S = 30.0  # nor does a model that is not better than the one in service


@dataclass
class Demonstration:
    """One run on a stack that is up."""

    plan: Plan
    stack: Stack
    display: Display
    course: Course
    patience_s: float
    state: DemoState = field(init=False)

    def __post_init__(self) -> None:
        self._input = input_stream(self.plan.project)
        self.state = DemoState(self.plan.project, NAME)
        self._programs = Programs.of(self.stack)
        self._follower = Follower(self.state, self.patience_s, self._look)
        self._blobs: dict[str, S3Blobs] = {}

    async def run(self) -> dict[str, Any]:
        """Do everything; return the report. Raises CommandFailed with the reason when a stage fails or stalls."""
        broker = RabbitBroker(self.stack.broker, Health(), NAME)
        try:
            last = await broker.last_offset(self._input)
            self.state.baseline = -1 if last is None else last
            async with self._follower.following(broker):
                await self._follower.history()
                return await self._run()
        finally:
            await broker.close()

    async def _run(self) -> dict[str, Any]:
        stage = self.course.stage
        with stage("push"):
            pushed = await self._push()
        with stage("receipts"):
            await self._receipts(pushed)
        cut = self.state.last_receipt
        with stage("variants"):
            await self._ask(cut)
            await self._follower.until("the variants", lambda: self.state.augmented_to >= cut)
        with stage("training"):
            finished = await self._training(cut)
        with stage("export"):
            exported, promoted = await self._export(finished)
        with stage("serving"):
            await self._serving(promoted)
        with stage("proof"):
            proof = await self._proof(promoted)
        with stage("answers"):
            compared = await self._answers(finished)
        self.display.show(self.course.rows(self.state))
        report = report_of(self.state, self.course, pushed, finished, exported, proof, compared)
        title = f"mAP50 {report['map50']:.3f} on {report['test_images']} test images, model {exported.model[:12]}…"
        await asyncio.to_thread(write_sheet, compared, title, self.plan.root / "detections.png")
        return report

    # ---- the stages

    async def _push(self) -> Pushed:
        def told(kind: str, count: int) -> None:
            self.course.said["push"] = f"{count} of {self.course.images} {kind}"
            self._look()

        broker = self.stack.rabbitmq.settings_of(PRODUCER)
        store = self.stack.seaweedfs.settings_of(PRODUCER)  # takes what no message can hold
        connected = Producer.connect(
            broker, self._input, NAME, receipts=False, incoming=store, inline=True, timeout_s=self.patience_s
        )
        async with connected as producer:
            return await publish(producer, self.plan.imported, told)

    async def _receipts(self, pushed: Pushed) -> None:
        await self._follower.until("the receipts", lambda: self.state.settled >= pushed.sent)
        if set(self.state.receipts) <= {"rejected"}:
            why = self.state.refused[0] if self.state.refused else None
            raise CommandFailed(
                f"every annotation was rejected; the first: {why.rule}: {why.reason}. {why.hint}" if why
                else "nothing was published"
            )  # fmt: skip

    async def _ask(self, cut: int) -> None:
        queue = RabbitJobQueue(self.stack.broker, Health(), NAME)
        try:
            await ask_for_training(queue, self.plan.project, cut)
        finally:
            await queue.close()

    async def _training(self, cut: int) -> TrainingFinished:
        known = self.state.same_training()
        within_s = None if known is None else KNOWN_AFTER_S
        state, course = self.state, self.course
        requested = await self._follower.until("the training", lambda: state.training_for(cut) is not None, within_s)
        seen = course.training = state.training_for(cut) if requested else known
        if seen is None:
            raise CommandFailed("the training was not requested")
        if not requested:
            course.said["training"] = f"this dataset is known: {seen.requested.dataset.id[:12]}…"
        await self._follower.until("the training to end", lambda: seen.finished is not None)
        if seen.finished is None:
            raise CommandFailed("the training did not end")
        return seen.finished

    async def _export(self, finished: TrainingFinished) -> tuple[ModelExported, ModelPromoted]:
        state = self.state
        await self._follower.until("the export", lambda: finished.job in state.exported)
        exported = state.exported[finished.job]
        within_s = CHAMPION_AFTER_S if state.promoted else None
        ours = await self._follower.until(
            "the promotion", lambda: any(one.model == exported.model for one in state.promotions), within_s
        )
        promoted = state.promoted
        if promoted is None:
            raise CommandFailed("no model was promoted")
        far = max((one.agreement.max_box_px for one in exported.artifacts if one.agreement is not None), default=0.0)
        names = ", ".join(artifact.name for artifact in exported.artifacts)
        standing = (
            "promoted" if ours and promoted.model == exported.model else f"{promoted.model[:12]}… stays in service"
        )
        self.course.said["export"] = f"{names}: boxes agree within {far:.3f} px, sealed and signed; {standing}"
        return exported, promoted

    async def _serving(self, promoted: ModelPromoted) -> None:
        state = self.state
        await self._follower.until(
            "the model to be served", lambda: promoted.model in state.activated and self._serves(promoted.model)
        )
        active = state.activated[promoted.model]
        self.course.said["serving"] = f"model {promoted.model[:12]}… answers as {active.artifact} on {active.replica}"

    async def _proof(self, promoted: ModelPromoted) -> Proof:
        directory = self.plan.root / "bundle" / promoted.model
        proof = await prove(
            self.stack, self._bucket(self.stack.store.model_bucket), promoted, self.plan.project, directory
        )
        sealed = "no public part opens alone" if proof.sealed else "A PUBLIC PART OPENS ALONE"
        self.course.said["proof"] = f"promotion and signature verified; {sealed}"
        return proof

    async def _answers(self, finished: TrainingFinished) -> tuple[Compared, ...]:
        names = await test_names(self._bucket(self.stack.store.data_bucket), finished.dataset)
        by_name = {image.name: image for image in self.plan.imported}
        images = [by_name[name] for name in names if name in by_name]
        if not images:
            raise CommandFailed("the dataset's test split holds none of these images")

        def told(count: int) -> None:
            self.course.said["answers"] = f"{count} of {len(images)} held-out images"

        url, classes = self.stack.url("inference"), self.plan.imported.classes
        compared = await asyncio.to_thread(compare, url, images, classes, told)
        found, annotated = sum(one.matched for one in compared), sum(len(one.truth) for one in compared)
        said = f"{len(images)} held-out images: {found} of {annotated} annotated boxes found"
        self.course.said["answers"] = said
        return compared

    # ---- looking

    def _look(self) -> str | None:
        self.display.show(self.course.rows(self.state))
        return refusal(self.state, self.course) or self._programs.problem()

    def _serves(self, model: str) -> bool:
        try:
            answer = get(f"{self.stack.url('inference')}/v1/models")
        except httpx.HTTPError:
            return False  # it is asked again, until patience ends
        return answer.status_code == HTTPStatus.OK and any(one["model"] == model for one in answer.json()["models"])

    def _bucket(self, name: str) -> S3Blobs:
        return self._blobs.setdefault(name, S3Blobs(self.stack.store, name, Health()))


def write_report(report: dict[str, Any], root: Path) -> Path:
    """Write report.json."""
    path = root / "report.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    return path
