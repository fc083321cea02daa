"""labelstream annotate list, show and cancel."""

from __future__ import annotations

import json

import typer
from pydantic import TypeAdapter
from rich.console import Console

from labelstream import keys
from labelstream.annotating import Failed, Ranked
from labelstream.values import FileRef
from labelstream_cli.annotate import view
from labelstream_cli.annotate.following import Images, Standing, asked_for, chosen, standing
from labelstream_cli.annotate.options import JobId, Newest, RankingFile, Url
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.running import CommandFailed, Directory, Json, Project
from labelstream_local.layout import DEFAULT

_RANKING, _FAILURES = TypeAdapter(tuple[Ranked, ...]), TypeAdapter(tuple[Failed, ...])


def list_annotating(
    *, project: Project = "default", directory: Directory = DEFAULT, url: Url = None, as_json: Json = False
) -> None:
    """List what was asked for, the newest first."""

    async def read(place: Place) -> list[Standing]:
        return [await standing(place, one) for one in await asked_for(place, project)]

    several = at_place(Where(directory, url, project, quiet=True), read)
    if as_json:
        typer.echo(json.dumps({"jobs": [view.as_json(one) for one in several]}))
    elif several:
        view.listing(several, Console(highlight=False))
    else:
        typer.echo(f"Nothing of {project} was annotated by a model yet: `labelstream annotate FOLDER`.")


def show_annotating(
    *,
    job: Newest = None,
    project: Project = "default",
    ranking: RankingFile = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show how a job stands, what came of it, which images came to nothing, and its ranking."""

    async def read(place: Place) -> tuple[Standing, Images]:
        now = await standing(place, await chosen(place, project, job))
        return now, await images_of(place, now)

    now, images = at_place(Where(directory, url, project, quiet=True), read)
    told(now, images, ranking, as_json=as_json)


def cancel_annotating(
    *, job: JobId, project: Project = "default", directory: Directory = DEFAULT, url: Url = None, as_json: Json = False
) -> None:
    """End a job that waits or works. What was published stays."""

    async def end(place: Place) -> Standing:
        request = await chosen(place, project, job)
        now = await standing(place, request)
        if now.is_over:
            raise CommandFailed(f"the job {now.job[:SHORT]} is {now.state} already")
        await place.blobs.create(keys.job_cancel(project, now.job), b"{}")
        return now

    now = at_place(Where(directory, url, project, quiet=True), end)
    if as_json:
        typer.echo(json.dumps({"job": now.job, "asked": "cancel"}))
    else:
        typer.echo(f"Annotating {now.job[:SHORT]} ends with the images that are in work.")


def told(now: Standing, images: Images, ranking: RankingFile, *, as_json: bool) -> None:
    """Print a job, and write its ranking where that is wanted."""
    if ranking is not None:
        view.write_ranking(images.ranked, ranking)
    if as_json:
        order = [one.model_dump() for one in images.ranked]
        failures = [one.model_dump() for one in images.failed]
        typer.echo(json.dumps({**view.as_json(now), "order_of_images": order, "failures": failures}))
    else:
        view.tell(now, images, Console(highlight=False))


async def images_of(place: Place, now: Standing) -> Images:
    """Return what is told of single images; nothing of a job that is not over. Raises Unavailable."""

    async def read(file: FileRef | None) -> bytes:
        return b"[]" if file is None else (await place.blobs.get(file.key)).data

    if now.result is None:
        return Images()
    ranked, failed = await read(now.result.ranking), await read(now.result.failures)
    return Images(_RANKING.validate_json(ranked), _FAILURES.validate_json(failed))
