"""labelstream train: a training of what is annotated so far, or on a dataset that was built by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from labelstream.events.base import ANNOTATION_EVENTS
from labelstream.training_requests import TrainingRequest
from labelstream_cli.datasets.catalogue import Stored, chosen
from labelstream_cli.datasets.place import Place as DatasetPlace
from labelstream_cli.datasets.place import Where as DatasetWhere
from labelstream_cli.datasets.place import at_place as at_datasets
from labelstream_cli.datasets.reading import require_project
from labelstream_cli.datasets.words import SHORT
from labelstream_cli.jobs.options import Url, Wait
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.jobs.starting import Started, start, tell
from labelstream_cli.reaching import last_offset
from labelstream_cli.running import CommandFailed, Directory, Json, Project, failed
from labelstream_local.layout import DEFAULT

_FILES = (".yaml", ".yml", ".json")

At = Annotated[
    int | None, typer.Option(min=0, help="Up to this offset of annotation-events; default: all that is there.")
]
OnDataset = Annotated[
    str | None,
    typer.Option(metavar="ID", help="On this dataset as it is, by its name or at least 4 digits of its id."),
]
Recipe = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="A recipe that the trainer ships, or a .yaml file; default: the trainer's."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Another seed than the recipe's.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Another number of epochs than the recipe's.")]


@dataclass(frozen=True)
class _Wanted:
    """What somebody wants to be trained."""

    at: int | None
    dataset: Stored | None
    recipe: dict[str, Any] | str | None
    changes: dict[str, Any]

    async def request(self, place: Place) -> TrainingRequest:
        """Return what to ask for. Raises CommandFailed when not so much is annotated, Unavailable."""
        if self.dataset is not None:
            return TrainingRequest(dataset=self.dataset.file, recipe=self.recipe, changes=self.changes)
        last = await last_offset(place.broker, ANNOTATION_EVENTS)
        if last is None:
            raise CommandFailed("nothing is annotated yet: `labelstream push FOLDER` publishes annotations")
        cut = last if self.at is None else self.at
        if cut > last:
            raise CommandFailed(f"--at {cut}: the last offset of {ANNOTATION_EVENTS} is {last}")
        return TrainingRequest(cut=cut, recipe=self.recipe, changes=self.changes)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(_train)


def _train(  # noqa: PLR0913 -- typer makes an option of each
    *,
    project: Project = "default",
    at: At = None,
    dataset: OnDataset = None,
    recipe: Recipe = None,
    seed: Seed = None,
    epochs: Epochs = None,
    wait: Wait = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Ask for a training of what is annotated so far.

    The trainer builds the dataset as it was at that point of the stream, or takes one that `labelstream dataset build`
    made. Asking twice for the same data and recipe trains once. `labelstream jobs` shows how it goes.

    With --wait the exit code is 0 when the training has finished, and 1 when it failed or was cancelled. Ctrl-C ends
    the waiting, not the training.

    Examples:
    - `labelstream train`
    - `labelstream train --recipe yolo11n --epochs 50 --wait`
    - `labelstream train --project harbour --at 5120 --recipe mine.yaml`
    - `labelstream train --dataset 3fa9 --seed 2 --json | jq -r .job`
    """
    if at is not None and dataset is not None:
        raise typer.BadParameter("a dataset was built at an offset already: give --at or --dataset")
    changes = {name: value for name, value in (("seed", seed), ("epochs", epochs)) if value is not None}
    try:
        told = recipe_of(recipe)
    except CommandFailed as problem:
        raise failed(problem) from problem
    stored = _stored(DatasetWhere(directory, project, url, quiet=as_json), dataset) if dataset is not None else None
    wanted = _Wanted(at, stored, told, changes)

    async def work(place: Place) -> tuple[TrainingRequest, Started]:
        request = await wanted.request(place)
        return request, await start(place, project, request, wait=wait, quiet=as_json)

    request, started = at_place(Where(directory, url, project, quiet=True), work)
    on = f"on the dataset {stored.id[:SHORT]}" if stored else f"up to offset {request.cut} of {ANNOTATION_EVENTS}"
    cut = stored.description.cut.offset if stored else request.cut
    extra = {"cut": cut, "dataset": stored.id if stored else None}
    tell(started, f"a training of {project} {on}", as_json=as_json, extra=extra)


def recipe_of(told: str | None) -> dict[str, Any] | str | None:
    """Return a recipe's name, or what its file holds; the trainer checks both. Raises CommandFailed."""
    if told is None or not told.endswith(_FILES):
        return told
    try:
        content = yaml.safe_load(Path(told).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"the recipe {told} can't be read: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise CommandFailed(f"the recipe {told} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise CommandFailed(f"the recipe {told} should hold fields, such as `epochs: 20`, but holds {content!r}")
    return content


def _stored(where: DatasetWhere, told: str) -> Stored:
    async def found(place: DatasetPlace) -> Stored:
        await require_project(place)
        return await chosen(place, told)

    return at_datasets(where, found)
