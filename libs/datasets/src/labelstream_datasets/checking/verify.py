"""Whether a stored dataset is still what it was: built again from the streams, and looked up in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from labelstream import keys
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.values import Sha256, Value, digest_of
from labelstream_datasets.checking.diff import originals
from labelstream_datasets.checking.verifying import ArchiveLook, Looked
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.loading import load_manifest
from labelstream_datasets.manifest import Manifest, Row
from labelstream_datasets.options import DatasetOptions, rules_digest
from labelstream_datasets.store import BuiltDataset

Kind = Literal["erased", "collected", "missing", "changed", "different", "not_built"]
Told = Callable[[int, int], None]  # (archives looked at, archives in all)

_KINDS: dict[str, Kind] = {
    "object.missing": "missing",
    "object.changed": "changed",
    "dataset.archive_incomplete": "changed",
    "dataset.erased": "erased",
    "dataset.collected": "collected",
}


class Lost(Value):
    """An image that the dataset held, and that is there no more or is not the same."""

    image: Sha256
    name: str  # of its annotation


class Finding(Value):
    """Something that is not as it was."""

    kind: Kind
    where: str  # the object, or the stream
    reason: str
    images: tuple[Lost, ...] = ()
    still_stored: bool = False  # its samples are in the archives yet: the dataset can be laid out with them


class Verdict(Value):
    """What was found of a dataset."""

    id: Sha256
    rebuilt_id: Sha256 | None  # None: it could not be built again
    deep: bool  # whether every archive was read, not only looked up
    samples: int
    archives: int
    archive_bytes: int
    rewritten: int  # archives that were followed to where their content lies now
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether everything is as it was."""
        return not self.findings


@dataclass(frozen=True)
class Rebuilt:
    """What the streams give at the dataset's cut with its options."""

    built: BuiltDataset | None  # None: they give nothing
    reason: str = ""  # why not
    known: Callable[[str], bool] = field(default=lambda _name: True)  # whether an annotation still exists


async def verify(
    blobs: Blobs,
    description: DatasetDescription,
    rebuilt: Rebuilt,
    scratch: Path,
    *,
    deep: bool = False,
    told: Told = lambda _done, _all: None,
) -> Verdict:
    """Compare a dataset with what the streams say, and look up every archive; `deep` reads them too.

    Archives that were rewritten are always read: what lacks there was erased. `scratch` is a directory for
    downloads. Raises Unavailable.
    """
    findings: list[Finding] = []
    manifest = await _manifest(blobs, description, findings)
    looked: list[Looked] = []
    if manifest is not None:
        sizes = {info.key: info.size_bytes async for info in blobs.list(keys.archives(description.project))}
        looked = await ArchiveLook(blobs, sizes, scratch, deep).at_all(manifest, told)
        findings += _of_archives(looked)
    if rebuilt.built is None:
        findings.append(Finding(kind="not_built", where=description.cut.stream, reason=rebuilt.reason))
    elif rebuilt.built.description.id != description.id:
        gone = {lost.image for finding in findings for lost in finding.images}
        findings += await asyncio.to_thread(_of_streams, description, manifest, rebuilt, gone)
    return Verdict(
        id=description.id,
        rebuilt_id=rebuilt.built.description.id if rebuilt.built else None,
        deep=deep,
        samples=0 if manifest is None else len(manifest),
        archives=len(looked),
        archive_bytes=sum(one.archive.size_bytes for one in looked),
        rewritten=sum(one.rewritten for one in looked),
        findings=tuple(findings),
    )


async def _manifest(blobs: Blobs, description: DatasetDescription, findings: list[Finding]) -> Manifest | None:
    """Read the manifest, and see whether the dataset's id is that of its content."""
    where = description.manifest.key if description.manifest else "manifest"
    try:
        manifest = await load_manifest(blobs, description)
    except Rejected as error:
        findings.append(Finding(kind=_KINDS.get(error.rule, "changed"), where=where, reason=error.reason))
        return None
    except ValueError as error:  # pyarrow's errors are ValueErrors
        findings.append(Finding(kind="changed", where=where, reason=f"it can't be read: {error}"))
        return None
    found = _id_of(await asyncio.to_thread(lambda: manifest.id), description)
    if found != description.id:
        findings.append(Finding(kind="changed", where=where, reason=f"its content is that of dataset {found}"))
    return manifest


def _id_of(content: str, options: DatasetOptions) -> str:
    rules = rules_digest(options)
    return content if rules is None else digest_of([rules, content])


def _of_archives(looked: Iterable[Looked]) -> list[Finding]:
    return [
        Finding(
            kind=_KINDS.get(one.problem.rule, "changed"),
            where=one.archive.key,
            reason=one.problem.reason,
            images=_lost(one.lacking),
        )
        for one in looked
        if one.problem is not None
    ]


def _of_streams(
    description: DatasetDescription, manifest: Manifest | None, rebuilt: Rebuilt, explained: set[str]
) -> list[Finding]:
    """Say why the streams give another dataset now, as far as the store has not said it."""
    if manifest is None or rebuilt.built is None:
        return []
    stored, now = originals(manifest), originals(rebuilt.built.manifest)
    others = [
        row
        for image, row in stored.items()
        if image not in explained and (image not in now or _identity(row) != _identity(now[image]))
    ]
    erased = [row for row in others if not rebuilt.known(row.name)]
    changed = [row for row in others if rebuilt.known(row.name)]
    explained = explained | {row.image for row in erased}
    more = [row for image, row in now.items() if image not in stored]
    where, cut = description.cut.stream, description.cut.offset
    findings: list[Finding] = []
    if erased:
        were = "1 of its annotations was" if len(erased) == 1 else f"{len(erased)} of its annotations were"
        keys_of = sorted({row.archive for row in erased})
        beside = f" and {len(keys_of) - 1} more" if len(keys_of) > 1 else ""
        reason = f"{were} erased since; the samples are still in {keys_of[0]}{beside}"
        findings.append(Finding(kind="erased", where=where, reason=reason, images=_lost(erased), still_stored=True))
    if changed:
        reason = f"{len(changed)} of its images are others, or are none, in what the streams give at offset {cut}"
        findings.append(Finding(kind="different", where=where, reason=reason, images=_lost(changed)))
    if more:
        reason = f"{len(more)} images that it does not have are in what the streams give at offset {cut}"
        findings.append(Finding(kind="different", where=where, reason=reason, images=_lost(more)))
    if not (findings or explained):
        reason = f"the streams give dataset {rebuilt.built.description.id} at offset {cut}: other variants"
        findings.append(Finding(kind="different", where=where, reason=reason))
    return findings


def _identity(row: Row) -> tuple[str, str, str]:
    return row.labels, row.recipe, row.split


def _lost(rows: Iterable[Row]) -> tuple[Lost, ...]:
    found = {row.image: Lost(image=row.image, name=row.name) for row in rows}
    return tuple(sorted(found.values(), key=lambda one: (one.name, one.image)))
