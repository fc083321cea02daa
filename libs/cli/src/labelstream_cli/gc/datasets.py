"""Which stored datasets are kept, and the archives that they need."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow.compute as pc
import pyarrow.parquet as pq

from labelstream import keys
from labelstream.blobs.checked import read_checked
from labelstream.blobs.ports import BlobNotFound, Blobs
from labelstream.errors import Rejected
from labelstream_cli.gc.ages import age
from labelstream_cli.gc.plan import is_young
from labelstream_cli.running import CommandFailed
from labelstream_datasets.description import DESCRIPTION, DatasetDescription

KEPT = "kept"


@dataclass(frozen=True)
class Kept:
    """The datasets that must stay usable."""

    reasons: Mapping[str, str]  # id → why
    archives: frozenset[str]  # keys, as the manifests name them


@dataclass
class Datasets:
    """The datasets of one project. What is read of a manifest is remembered: a dataset never changes."""

    blobs: Blobs
    project: str
    grace: timedelta
    _archives: dict[str, frozenset[str]] = field(default_factory=dict)

    async def kept(self, by_events: Mapping[str, str], every: str | None = None) -> Kept:
        """Return what is kept, because of events, by hand, or because it is new; `every`: why all others are.

        Raises CommandFailed when one of them can't be read: then nobody knows what it needs.
        """
        reasons = {**await self._told_by_store(every), **by_events}
        for dataset, why in reasons.items():
            if dataset not in self._archives:
                self._archives[dataset] = await self._read(dataset, why)
        return Kept(reasons, frozenset().union(*(self._archives[dataset] for dataset in reasons)))

    async def _told_by_store(self, every: str | None) -> dict[str, str]:
        form = re.compile(rf"{re.escape(keys.datasets(self.project))}([^/]+)/({re.escape(DESCRIPTION)}|{KEPT})")
        reasons: dict[str, str] = {}
        async for info in self.blobs.list(keys.datasets(self.project)):
            found = form.fullmatch(info.key)
            if found is None:
                continue
            if found[2] == KEPT:
                reasons[found[1]] = "kept until somebody says `labelstream dataset forget`"
            elif is_young(info, self.grace):
                reasons.setdefault(found[1], f"built {age(info.store_time - info.modified)} ago")
            elif every is not None:
                reasons.setdefault(found[1], every)
        return reasons

    async def _read(self, dataset: str, why: str) -> frozenset[str]:
        try:
            key = keys.dataset(self.project, dataset, DESCRIPTION)
            description = DatasetDescription.from_json((await self.blobs.get(key)).data)
            if description.manifest is None:
                raise ValueError("it names no manifest")
            return await asyncio.to_thread(_archives, await read_checked(self.blobs, description.manifest))
        except (BlobNotFound, Rejected, ValueError) as error:  # pydantic's and pyarrow's errors are ValueErrors
            reason = "its dataset.json is gone" if isinstance(error, BlobNotFound) else str(error)
            raise CommandFailed(
                f"nobody can tell what may go: the dataset {dataset} of {self.project} must stay ({why}), but what it "
                f"needs can't be read: {reason}. Nothing was removed since that is so. Restore it, or give up what "
                f"keeps it: withdraw the model, or `labelstream dataset forget {dataset[:12]}`."
            ) from error


def _archives(parquet: bytes) -> frozenset[str]:
    column = pq.read_table(io.BytesIO(parquet), columns=["archive"])["archive"]
    return frozenset(pc.unique(column).cast("string").to_pylist())
