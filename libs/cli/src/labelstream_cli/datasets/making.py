"""Building a dataset as a person asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from labelstream import keys
from labelstream.errors import Misconfigured
from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.schemas.recorded import recorded_schema
from labelstream.values import Split
from labelstream_cli.datasets.archives import require_archives
from labelstream_cli.datasets.catalogue import Kept, keep
from labelstream_cli.datasets.dry import ReadOnly
from labelstream_cli.datasets.place import Place
from labelstream_cli.datasets.reading import Streams, streams
from labelstream_cli.datasets.words import SHORT, options_in_words
from labelstream_cli.running import CommandFailed
from labelstream_datasets.building.build import BuiltDataset, DatasetPlan, build, store
from labelstream_datasets.checking.duplicates import Duplicates, near_duplicates
from labelstream_datasets.description import DESCRIPTION
from labelstream_datasets.options import DatasetOptions

NEWEST = "newest"
_NOT_SAID = "its batch does not say why"
_OPTIONS = {
    "ratios": "--ratios",
    "classes": "--class",
    "merge": "--merge",
    "min_box_area_percent": "--min-box",
    "most_per_source": "--most-per-source",
}
_MOST_NAMES = 20


@dataclass(frozen=True)
class Wanted:
    """What a person asked for."""

    options: DatasetOptions
    published: Mapping[str, Split] = field(default_factory=dict)  # annotation → split
    at: int | None = None  # offset of annotation-events; None: all that is augmented
    recipe: str | None = None  # the first digits of its digest, or "newest"
    name: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Missing:
    """Images that could not be augmented, all for one reason."""

    reason: str
    images: int
    names: tuple[str, ...]  # of the first few annotations


@dataclass(frozen=True)
class Made:
    """A dataset that was built."""

    built: BuiltDataset
    near: Duplicates
    missing: tuple[Missing, ...]
    end: int  # the last offset of annotation-events
    existed: bool
    kept: Kept | None  # None: a dry run stores nothing

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        description = self.built.description
        return {
            "id": description.id,
            "existed": self.existed,
            "stored": self.kept is not None,
            "name": self.kept.name if self.kept else None,
            "key": keys.dataset(description.project, description.id, DESCRIPTION),
            "description": description.model_dump(mode="json"),
            "missing": [vars(one) for one in self.missing],
            "near_duplicates": self.near.model_dump(mode="json"),
            "annotations_end": self.end,
        }


def options_of(given: Mapping[str, Any]) -> DatasetOptions:
    """Return the options with what was given; None means the default. Raises Misconfigured."""
    try:
        return DatasetOptions(**{field: value for field, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        option = _OPTIONS.get(str(first["loc"][0]), "") if first["loc"] else ""
        reason = first["msg"].removeprefix("Value error, ")
        raise Misconfigured(f"{option}: {reason}" if option else reason) from error


async def make(place: Place, wanted: Wanted) -> Made:
    """Build what was asked for and store it. Raises CommandFailed, Misconfigured, Unavailable."""
    async with streams(place) as read:
        cut, recipe = _cut_and_recipe(read, wanted)
        plan = DatasetPlan(
            project=place.project,
            cut=cut,
            recipe=recipe,
            class_schema=await recorded_schema(place.blobs, place.project),
            options=wanted.options,
            published=wanted.published,
        )
        blobs = ReadOnly(place.blobs) if wanted.dry_run else place.blobs
        built = await build(read.view, read.index, plan, blobs)
        if not len(built.manifest):
            raise CommandFailed(_empty(place.project, cut, wanted.options))
        await require_archives(place, built.manifest, packed=not wanted.dry_run)
        missing = await asyncio.to_thread(_missing, read, plan) if built.description.missing else ()
    near = await asyncio.to_thread(near_duplicates, built.manifest)
    key = keys.dataset(place.project, built.description.id, DESCRIPTION)
    existed = await place.blobs.head(key) is not None
    kept = None
    if not wanted.dry_run:
        await store(place.blobs, built)
        kept = await keep(place.blobs, place.project, built.description.id, wanted.name)
        await require_archives(place, built.manifest, packed=True)  # until it was kept, `gc` might take one
    return Made(built, near, missing, read.end, existed, kept)


def _cut_and_recipe(read: Streams, wanted: Wanted) -> tuple[int, str]:
    """Return up to where, and with which recipe. Raises CommandFailed when that was not augmented."""
    covered = dict(read.index.recipes(read.project))
    if not covered:
        raise CommandFailed(
            f"nothing of the project {read.project} is augmented yet: the augmenter answers what is pushed; "
            "`labelstream status` shows how far it is"
        )
    named = None if wanted.recipe in (None, NEWEST) else _named(covered, wanted.recipe)
    augmented = min(covered[named] if named else max(covered.values()), read.end)
    cut = augmented if wanted.at is None else wanted.at
    if cut > read.end:
        raise CommandFailed(f"--at {cut} is still to come: {ANNOTATION_EVENTS} ends at offset {read.end}")
    recipe = named
    if recipe is None:
        then = wanted.at is not None and wanted.recipe is None
        recipe = read.index.recipe_then(read.project, cut) if then else read.index.recipe(read.project, cut)
    if recipe is None or covered[recipe] < cut:
        up_to = covered[recipe] if recipe else max(covered.values())
        with_it = f" with the recipe {recipe[:SHORT]}" if recipe else ""
        raise CommandFailed(
            f"the annotations are augmented{with_it} up to offset {up_to}, not yet up to {cut}: wait for the augmenter "
            f"(`labelstream status` shows it), or build --at {max(up_to, 0)}"
        )
    return cut, recipe


def _named(covered: Mapping[str, int], prefix: str | None) -> str:
    found = [recipe for recipe in covered if prefix and recipe.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{recipe[:SHORT]} (up to offset {up_to})" for recipe, up_to in covered.items())
    problem = "may be any of several recipes" if found else "is no recipe that the project was augmented with"
    hint = "" if found else ". Name it by the first digits of its digest: `labelstream recipe list` and `check` tell it"
    raise CommandFailed(f"--recipe {prefix} {problem}: there are {known}{hint}")


def _missing(read: Streams, plan: DatasetPlan) -> tuple[Missing, ...]:
    """Say why images lack, by reason."""
    names: dict[str, list[str]] = {}
    for entry in read.view.validated(plan.project, at=plan.cut):
        content = entry.annotation.image.sha256, entry.annotation.labels
        if read.index.find(plan.project, plan.recipe, content, plan.cut) is None:
            reason = read.index.reason(plan.project, plan.recipe, content) or _NOT_SAID
            names.setdefault(reason, []).append(entry.name)
    found = [Missing(reason, len(them), tuple(them[:_MOST_NAMES])) for reason, them in names.items()]
    return tuple(sorted(found, key=lambda one: -one.images))


def _empty(project: str, cut: int, options: DatasetOptions) -> str:
    which = "validated annotation" if options.validated_only else "annotation"
    text = f"the dataset would be empty: the project {project} has no {which} up to offset {cut} that it could take"
    told = options_in_words(options)
    return f"{text} with these options ({told})" if told else text
