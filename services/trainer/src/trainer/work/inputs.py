"""What a training needs on this machine: the dataset laid out, and the weights to begin and to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from labelstream.blobs.checked import download_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.events.training import DatasetRef, WeightsRef
from labelstream.service.health import Health
from labelstream.service.patience import patiently
from labelstream_datasets.layout.materialise import materialise
from trainer.engine.contract import ARCHITECTURE, WEIGHTS, NetworkFiles

STORE = "object store"

log = structlog.get_logger()


@dataclass(frozen=True)
class Inputs:
    """Fetches from the store, and waits while it is away."""

    blobs: Blobs
    health: Health

    async def dataset(self, dataset: DatasetRef, folder: Path) -> Path:
        """Lay a dataset out. Raises Rejected when it is gone, or the disk is full."""
        return await materialise(self.blobs, self.health, dataset.description, folder, replace=True)

    async def network(self, wanted: WeightsRef | None, folder: Path) -> NetworkFiles | None:
        """Fetch weights. Raises Rejected when they are gone or others."""
        if wanted is None:
            return None
        files = NetworkFiles(id=wanted.id, weights=folder / WEIGHTS, architecture=folder / ARCHITECTURE)
        for file, path in ((wanted.weights, files.weights), (wanted.architecture, files.architecture)):
            await patiently(self.health, STORE, partial(download_checked, self.blobs, file, path))
        return files

    async def champion(self, wanted: WeightsRef | None, folder: Path) -> NetworkFiles | None:
        """Fetch the model in service; None when there is none any more: a training is worth doing without it."""
        try:
            return await self.network(wanted, folder)
        except Rejected as error:
            log.warning("champion.not_compared", reason=error.reason, rule=error.rule)
            return None
