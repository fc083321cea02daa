"""A training from the folder to the weights and their metrics."""

from __future__ import annotations

import os
import time
from pathlib import Path

from labelstream.errors import Misconfigured
from labelstream.values import digest_of
from labelstream_yolo.architecture import Architecture
from labelstream_yolo.engine import EngineFailure
from labelstream_yolo.offline import versions
from labelstream_yolo.weights import check_layers
from trainer.engine import checkpoints
from trainer.engine.best import read_best, settle
from trainer.engine.checkpoints import Head
from trainer.engine.contract import (
    ARCHITECTURE,
    BEST,
    CHECKPOINT,
    RECOVERIES,
    TESTED,
    WEIGHTS,
    Recovery,
    TrainingResult,
    TrainingSpec,
)
from trainer.engine.devices import in_words, settled
from trainer.engine.evaluation import metrics_of, test_of
from trainer.engine.fit import fit
from trainer.engine.folder import Folder, open_folder
from trainer.engine.memory import telling_what_may_pass
from trainer.engine.options import network_of
from trainer.engine.plan import Plan
from trainer.engine.recovering import batch_of, devices_in, merged
from trainer.engine.training import tell


def train(spec: TrainingSpec) -> TrainingResult:
    """Train, choose the best epoch on validation, evaluate it once on test, leave weights and architecture.

    Raises EngineFailure.
    """
    with telling_what_may_pass():
        return _trained(spec)


def _trained(spec: TrainingSpec) -> TrainingResult:
    began = time.monotonic()
    plan, head = _planned(spec)
    if head is None or not head.complete:
        fit(plan)
        head = checkpoints.head_of(spec.out_dir / CHECKPOINT)
    best = read_best(spec.out_dir / BEST)
    weights = _weights(spec.out_dir)
    tested = test_of(_for_the_test(plan, head), plan.architecture, weights, plan.description)
    (spec.out_dir / TESTED).write_text(tested.model_dump_json())
    return TrainingResult(
        best_epoch=best.epoch,
        epochs=head.epoch,
        validation=best.validation,
        test=metrics_of(tested.model),
        weights=weights,
        architecture=spec.out_dir / ARCHITECTURE,
        tested=spec.out_dir / TESTED,
        history=head.history,
        recoveries=plan.recoveries,
        versions=plan.architecture.versions,
        device=in_words(plan.spec.device),
        seconds=round(time.monotonic() - began, 2),
    )


def _planned(spec: TrainingSpec) -> tuple[Plan, Head | None]:
    """Return what is to be done, and the checkpoint that it goes on from, if there is one."""
    folder = open_folder(spec.data)
    device = settled(spec.device)
    architecture = _architecture(spec, folder)
    (spec.out_dir / ARCHITECTURE).write_text(architecture.model_dump_json(indent=1))
    initial = spec.initial.id if spec.initial else None
    identity = digest_of([spec.recipe.digest, folder.digest, initial])
    head = _taken_up(spec, identity)
    adjustments = merged(spec.adjustments, head.adjustments) if head else spec.adjustments
    tell(spec.out_dir, list(head.history) if head else [])
    plan = Plan(
        spec=spec.model_copy(update={"device": device, "adjustments": adjustments}),
        identity=identity,
        architecture=architecture,
        description=folder.write_description(spec.out_dir / "data.yaml"),
        train_images=folder.images["train"],
        taken_up=head is not None,
        recoveries=_recoveries(spec.out_dir, head),
    )
    return plan, head


def _architecture(spec: TrainingSpec, folder: Folder) -> Architecture:
    try:
        network = network_of(spec.recipe)
        check_layers(network)
    except (Misconfigured, ValueError) as error:
        raise EngineFailure("recipe-wrong", str(error)) from error
    return Architecture(
        model=network, image_size=spec.recipe.image_size, names=folder.names, versions=versions("labelstream-yolo")
    )


def _taken_up(spec: TrainingSpec, identity: str) -> Head | None:
    """Return the newest checkpoint, if it is of this training.

    Raises EngineFailure (`checkpoint-damaged`), when it is not whole or its best weights are not there.
    """
    path = checkpoints.newest(spec.out_dir)
    if path is None:
        return None
    try:
        head = checkpoints.whole(path)
    except checkpoints.Damaged as error:
        raise EngineFailure("checkpoint-damaged", str(error)) from error
    if not spec.resume:
        checkpoints.forget(spec.out_dir)
        (spec.out_dir / RECOVERIES).unlink(missing_ok=True)
        return None
    if head.identity != identity:
        said = "is of another recipe or dataset, or of other versions of the libraries"
        raise EngineFailure("checkpoint-damaged", f"{path.name} {said}: it can't be gone on from")
    if not settle(spec.out_dir, head.best_sha256):
        raise EngineFailure("checkpoint-damaged", f"the best weights of {path.name}, epoch {head.best_epoch}, are gone")
    return head


def _recoveries(out_dir: Path, head: Head | None) -> tuple[Recovery, ...]:
    """Return those that the checkpoint knows of, and those on this machine since."""
    path = out_dir / RECOVERIES
    lines = path.read_text().splitlines() if path.exists() else []
    known = head.recoveries if head else ()
    here = (Recovery.model_validate_json(line) for line in lines)
    return (*known, *(recovery for recovery in here if recovery not in known))


def _weights(out_dir: Path) -> Path:
    weights = out_dir / WEIGHTS
    weights.unlink(missing_ok=True)
    os.link(out_dir / BEST, weights)  # the same file under the name that it is handed over by
    return weights


def _for_the_test(plan: Plan, head: Head) -> TrainingSpec:
    """Return what the test is done with: one device, and the batch that is known to fit there."""
    spec = plan.spec
    now = merged(spec.adjustments, head.adjustments)
    batch = max(batch_of(now, spec.recipe) // devices_in(spec.device), 1)
    adjustments = now.model_copy(update={"batch": batch})
    return spec.model_copy(update={"adjustments": adjustments, "device": spec.device.split(",")[0]})
