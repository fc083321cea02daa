"""An engine: a network with what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from inference.engine.adapters.contract import Network, unloadable
from inference.engine.batching import Batched
from inference.engine.contract import Prepared, Tried
from inference.engine.geometry import Floats, Found, Letterbox, Pixels
from inference.engine.inputs import INPUTS, zeros
from inference.engine.outputs import OUTPUTS, SUPPRESSED
from inference.metrics import BATCH_SIZE
from labelstream.bundle import Artifact, Manifest, Thresholds
from labelstream.errors import Rejected


@dataclass(frozen=True)
class Detector:
    """One artifact of a bundle on one device."""

    facts: Artifact
    side: int
    network: Network
    faults: tuple[type[Exception], ...] = ()  # what the network raises when it does not run
    tried: tuple[Tried, ...] = field(default=(), compare=False)

    @property
    def artifact(self) -> str:
        """The artifact's name."""
        return self.facts.name

    @property
    def backend(self) -> str:
        """Runtime and device."""
        return self.network.backend

    @property
    def at_once(self) -> int:
        """How many calls of `forward` at the same time it is fastest with."""
        return self.network.at_once

    def pre_process(self, image: Pixels) -> Prepared:
        """Letterbox an image into what the graph takes."""
        return INPUTS[self.facts.input](image, self.side)

    def forward(self, prepared: Prepared, *, alone: bool = False) -> Floats:
        """Run the network on one image."""
        answer = self.network.run(prepared.tensor, alone=alone)
        if not isinstance(self.network, Batched):  # else it counts the batches
            BATCH_SIZE.observe(1)
        return answer

    def post_process(self, raw: Floats, letterbox: Letterbox, thresholds: Thresholds) -> Found:
        """Turn what `forward` returned into detections in pixels of the image."""
        return OUTPUTS[self.facts.output](raw, letterbox, thresholds)

    def prepare(self, manifest: Manifest) -> None:
        """Run the network for the first time, and see that its answer fits the manifest's classes. Raises Rejected."""
        with self._as_rejected():
            raw = self.network.run(zeros(self.facts.input, self.side))
            self.trial()
        channels, suppressed = 4 + len(manifest.class_schema.classes), self.facts.output == SUPPRESSED
        if raw.ndim != 2 or (raw.shape[1] != 6 if suppressed else raw.shape[0] != channels):
            expected = "(max detections, 6)" if suppressed else f"({channels}, candidates)"
            raise Rejected(
                "model.output_differs",
                f"{self.artifact} answers with shape {raw.shape}, not {expected}",
                "The graph and the class schema of the bundle belong to different models; export again.",
            )

    def trial(self) -> float:
        """Return the seconds that one image takes while the machine is busy with others; measured by one run."""
        return self.network.trial(zeros(self.facts.input, self.side))

    def settle(self) -> None:
        """Open and warm what only a network needs that answers requests. Raises Rejected."""
        with self._as_rejected():
            self.network.settle()

    def close(self) -> None:
        """Let the network go."""
        self.network.close()

    @contextmanager
    def _as_rejected(self) -> Iterator[None]:
        try:
            yield
        except self.faults as error:
            raise unloadable(self.backend, self.artifact, error) from error
