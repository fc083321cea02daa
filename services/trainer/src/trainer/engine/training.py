"""The training itself: ultralytics' trainer, with our checkpoints, our reports, and no recovery that goes on unsaid."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import RANK

from labelstream.events.training import Metrics
from labelstream.values import sha256_file
from labelstream_yolo.architecture import read_architecture
from labelstream_yolo.engine import EngineFailure, write_json
from labelstream_yolo.transfer import transfer
from labelstream_yolo.weights import build_model, save_weights
from trainer.engine import checkpoints
from trainer.engine.best import HEADER, Best, make_way
from trainer.engine.checkpoints import Head
from trainer.engine.contract import PROGRESS, Progress
from trainer.engine.memory import peak_memory_bytes
from trainer.engine.options import overrides_of
from trainer.engine.plan import Plan
from trainer.engine.recovering import IN_FORCE, NOT_FINITE
from trainer.engine.state import gathered, is_finite, restore, seed_epoch


class Training(DetectionTrainer):  # type: ignore[misc]  # ultralytics is untyped
    """One training in one folder."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(overrides=overrides_of(plan, plan.spec.out_dir / "run"))
        self.plan = plan
        self.checkpoint = checkpoints.newest(plan.spec.out_dir) if plan.taken_up else None
        self.head = checkpoints.head_of(self.checkpoint) if self.checkpoint else None
        self.history = list(self.head.history) if self.head else []
        self.best_sha256 = self.head.best_sha256 if self.head else ""
        self.began = self.epoch_began = time.monotonic()
        self.images_per_s = 0.0
        self.add_callback("on_train_start", Training._set_off)
        self.add_callback("on_train_epoch_start", Training._epoch_begins)
        self.add_callback("on_train_batch_end", Training._watch_loss)
        self.add_callback("on_train_epoch_end", Training._epoch_trained)

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:  # noqa: ARG002  # the signature is ultralytics'
        """Build the network of the recipe, with the weights to begin with, if there are any."""
        model = build_model(self.plan.architecture)
        initial = self.plan.spec.initial
        if initial is not None and self.head is None:
            names = read_architecture(initial.architecture).names
            taken = transfer(model, self.plan.architecture.names, initial.weights, names)
            if not taken.tensors:
                raise EngineFailure("weights-wrong", f"nothing of the weights {initial.id} fits this network")
            print(f"begins with {taken.tensors} of {taken.of} tensors of {initial.id}, classes {taken.classes}")  # noqa: T201  # the engine's log is its output
        return model.to(memory_format=torch.channels_last)  # a quarter faster on CPUs, and what tensor cores want

    def auto_batch(self, max_num_obj: int = 0, dataset_size: int = 0) -> int:  # noqa: ARG002  # the signature is ultralytics'
        """Return what fills the accelerator; each batch is a step of its own."""
        batch = int(super().auto_batch())
        self.args.nbs = batch
        return batch

    def resume_training(self, ckpt: Any) -> None:  # noqa: ARG002  # ultralytics' checkpoint: there is none
        """Go on from our checkpoint; everything else is set up by now."""
        if self.head is not None and self.checkpoint is not None:
            restore(self, checkpoints.state_of(self.checkpoint), self.head.epoch)

    def save_model(self) -> bool:
        """Keep the best weights, the checkpoint, and tell of the epoch, in this order."""
        if self.stopper.best_epoch == self.epoch + 1:
            best = Best(epoch=self.epoch + 1, validation=_measured(self.validator))
            path = make_way(self.plan.spec.out_dir)
            save_weights(self.ema.ema, path, {HEADER: best.model_dump_json()})
            self.best_sha256 = sha256_file(path)
        self.history.append(self._progress())
        checkpoints.write(self.plan.spec.out_dir, self._head(), gathered(self))
        tell(self.plan.spec.out_dir, self.history[-1:])
        return True

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """Do nothing: the checkpoint holds them."""

    def final_eval(self) -> None:
        """Do nothing: the best weights were measured when they were kept."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """End at once: whoever started us goes back to the last good checkpoint, with a lower rate."""
        if self.fitness is not None and not math.isfinite(self.fitness):
            raise EngineFailure(NOT_FINITE, f"epoch {epoch + 1}: the validation gives {self.fitness}")
        if not is_finite(self):
            raise EngineFailure(NOT_FINITE, f"epoch {epoch + 1}: the weights are not finite; {self._losses()}")
        return False

    def _set_off(self) -> None:
        torch.set_num_threads(self.plan.spec.recipe.threads)  # choosing the device set it
        in_force = self.plan.spec.adjustments.model_copy(update={"batch": self.batch_size})
        self.plan = self.plan.model_copy(update={"spec": self.plan.spec.model_copy(update={"adjustments": in_force})})
        if RANK in (-1, 0):
            write_json(self.plan.spec.out_dir / IN_FORCE, in_force.model_dump(mode="json"))

    def _epoch_begins(self) -> None:
        self._oom_retries = 3  # as if ultralytics had tried: halving the batch is told, and works in any epoch, outside
        seed_epoch(self, self.plan.spec.recipe.seed, max(RANK, 0))
        self.epoch_began = time.monotonic()

    def _watch_loss(self) -> None:
        loss = float(self.loss.detach())
        if not math.isfinite(loss):
            raise EngineFailure(NOT_FINITE, f"epoch {self.epoch + 1}: the loss is {loss}; {self._losses()}")

    def _epoch_trained(self) -> None:
        self.images_per_s = len(self.train_loader.dataset) / (time.monotonic() - self.epoch_began)

    def _losses(self) -> str:
        return ", ".join(f"{name} {float(loss):.4g}" for name, loss in self.loss_items.items())

    def _head(self) -> Head:
        return Head(
            identity=self.plan.identity,
            epoch=self.epoch + 1,
            complete=bool(self.stop),
            best_epoch=self.stopper.best_epoch,
            best_sha256=self.best_sha256,
            adjustments=self.plan.spec.adjustments,
            history=tuple(self.history),
            recoveries=self.plan.recoveries,
        )

    def _progress(self) -> Progress:
        epoch, seconds = self.epoch + 1, time.monotonic() - self.began
        left = 0 if self.stop else self.epochs - epoch
        return Progress(
            epoch=epoch,
            epochs=self.epochs,
            losses={name: round(float(loss), 5) for name, loss in self.tloss.items()},
            map50=self.metrics["metrics/mAP50(B)"],
            map50_95=self.metrics["metrics/mAP50-95(B)"],
            seconds=round(seconds, 2),
            eta_s=round(seconds / (epoch - self.start_epoch) * left, 1),
            images_per_s=round(self.images_per_s, 2),
            memory_bytes=peak_memory_bytes(self.device),
            batch=self.batch_size,
            learning_rate=min(group["lr"] for group in self.optimizer.param_groups),  # MuSGD's heads have thrice that
        )


def tell(out_dir: Path, epochs: list[Progress]) -> None:
    """Say that these epochs stand."""
    with (out_dir / PROGRESS).open("a") as report:
        report.write("".join(progress.model_dump_json() + "\n" for progress in epochs))


def _measured(validator: Any) -> Metrics:
    box, names = validator.metrics.box, validator.metrics.names
    return Metrics(
        map50=float(box.map50),
        map50_95=float(box.map),
        precision=float(box.mp),
        recall=float(box.mr),
        images=int(validator.seen),
        per_class={names[int(c)]: float(box.maps[int(c)]) for c in box.ap_class_index},
    )
