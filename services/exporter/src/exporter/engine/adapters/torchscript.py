"""TorchScript: a traced network in float32, for any batch; run by torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from exporter.engine.adapters.contract import BuildOrder, Built, Floats, Images, Runner
from exporter.engine.adapters.graph import facts, traceable
from labelstream.formats import Family


class TorchScript:
    """Builds and runs traced networks."""

    family: Family = "torchscript"

    def build(self, order: BuildOrder) -> Built:
        """Trace the network. The same weights and the same torch give the same bytes."""
        path = order.out_dir / f"{order.format.name}.torchscript"
        image = torch.zeros(1, 3, order.side, order.side)
        traced = torch.jit.trace(traceable(order.model, image), image, strict=False)
        torch.jit.save(traced, str(path))
        return Built(path, facts(order, "torch"), order.out_dir)

    def open(self, built: Built) -> Runner | str:
        """Load the file into torch."""
        return TorchScriptRunner(built.artifact)


class TorchScriptRunner:
    """A traced network on the CPU."""

    batch: int | None = None

    def __init__(self, path: Path) -> None:
        self._network: Any = torch.jit.load(str(path), map_location="cpu")

    def run(self, images: Images) -> Floats:
        """Answer images."""
        with torch.inference_mode():
            answer: Floats = self._network(torch.from_numpy(images)).numpy()
        return answer

    def close(self) -> None:
        """Let the network go."""
        self._network = None
