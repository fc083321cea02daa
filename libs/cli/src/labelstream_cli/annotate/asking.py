"""labelstream annotate FOLDER: asks for it, and follows it."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from labelstream.annotating import AnnotateRequest, ImageList, ask_to_annotate, put_images, stream_of
from labelstream.blobs.s3 import S3Blobs
from labelstream.client import Client, ClientError, Model, Retries
from labelstream.errors import Misconfigured
from labelstream.schemas.recorded import recorded_schema
from labelstream.service.settings import StoreSettings
from labelstream_cli.annotate import view
from labelstream_cli.annotate.browse import images_of, told
from labelstream_cli.annotate.following import Images, Standing, standing, wait
from labelstream_cli.annotate.options import (
    Again,
    Confidence,
    DryRun,
    InferenceUrl,
    Key,
    OrderBy,
    RankingFile,
    Source,
    Url,
    Wait,
)
from labelstream_cli.annotate.options import Model as ModelName
from labelstream_cli.annotate.sources import SCHEME, Found, in_folder, listed, prefix_of, upload
from labelstream_cli.datasets.words import count
from labelstream_cli.importers import Problem
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.reaching import require_stream
from labelstream_cli.running import ERRORS, CommandFailed, Directory, Json, Project, failed, running_stack
from labelstream_local.layout import DEFAULT

_MODEL_WITHIN = Retries(attempts=2, total_s=3)


def annotate(  # noqa: PLR0913 -- typer makes an option of each
    source: Source,
    *,
    project: Project = "default",
    model: ModelName = None,
    confidence: Confidence = None,
    order: OrderBy = "name",
    ranking: RankingFile = None,
    again: Again = False,
    wait: Wait = True,
    dry_run: DryRun = False,
    inference_url: InferenceUrl = None,
    api_key: Key = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let the model in service annotate images, for people to validate.

    A folder's images are put into the store; a worker asks the model about each and publishes what it finds as
    annotations of their own: unvalidated, by AI, with confidences. They change nothing that a person validated,
    deleted or drew. The same image is the same annotation, however often this is asked for. No training takes them
    before somebody validates them.

    Examples:
    - `labelstream annotate photos/`
    - `labelstream annotate photos/ --order uncertain --ranking first.csv`: what to validate first
    - `labelstream annotate photos/ --confidence 0.5 --no-wait`
    - `labelstream annotate s3://labelstream-data/default/images/`
    - `labelstream annotate list`, `labelstream annotate show`, `labelstream annotate cancel 3fa9`
    """
    wanted = _Wanted(source, project, model, confidence, order, again, inference_url, api_key, directory)
    where = Where(directory, url, project, quiet=True)
    if dry_run:
        plan = at_place(where, wanted.plan)
        typer.echo(json.dumps(plan) if as_json else _planned(plan))
        return
    now, problems, found = at_place(where, lambda place: _ask(place, wanted, follow=wait, quiet=as_json))
    for problem in problems:
        ERRORS.print(f"left out: {problem}", markup=False, soft_wrap=True)
    try:
        told(now, found, ranking if now.is_over else None, as_json=as_json)
    except Misconfigured as problem:
        raise failed(problem) from problem
    if now.state in ("failed", "cancelled"):
        raise typer.Exit(1)
    if not now.is_over and not as_json:
        typer.echo(f"`labelstream annotate show {now.job[:SHORT]}` shows how it goes.")


@dataclass(frozen=True)
class _Serving:
    """What the inference service says of a project."""

    model: Model
    classes: tuple[str, ...]


@dataclass(frozen=True)
class _Wanted:
    """What somebody wants."""

    source: str
    project: str
    model: str | None
    confidence: float | None
    order: Any
    again: bool
    inference_url: str | None
    api_key: str | None
    directory: Path

    async def plan(self, place: Place) -> dict[str, Any]:
        """Return what would be done. Raises Misconfigured, Unavailable."""
        if self.source.startswith(SCHEME):
            images, size = len((await self._stored(place)).images), None
        else:
            files = in_folder(Path(self.source))
            images, size = len(files), sum(one.path.stat().st_size for one in files)
        serving = await self.serving()
        schema = await recorded_schema(place.blobs, self.project)
        usual = serving.model.thresholds.get("confidence") if serving else None
        least = usual if self.confidence is None else self.confidence
        return {
            "source": self.source,
            "images": images,
            "bytes": size,
            "stream": stream_of(self.project),
            "model": serving.model.model if serving else None,
            "confidence": least,
            "order": self.order,
            "classes": list(schema.classes),
            "skipped": [name for name in (serving.classes if serving else ()) if schema.id_of(name) is None],
        }  # fmt: skip

    async def images(self, place: Place, show: Any) -> tuple[ImageList, list[Problem]]:
        """Return the images, which lie in the store by then. Raises Misconfigured, Unavailable."""
        if self.source.startswith(SCHEME):
            return await self._stored(place), []
        files: list[Found] = in_folder(Path(self.source))
        store = _store(place)
        incoming = S3Blobs(store, store.incoming_bucket, place.health)
        try:
            return await upload(files, self.project, incoming, place.health, show)
        finally:
            await incoming.close()

    async def _stored(self, place: Place) -> ImageList:
        store = _store(place)
        where = prefix_of(self.source, store)
        if where.bucket == "data":
            return await listed(place.blobs, where)
        incoming = S3Blobs(store, store.incoming_bucket, place.health)
        try:
            return await listed(incoming, where)
        finally:
            await incoming.close()

    async def serving(self) -> _Serving | None:
        """Return the model in service; None when it can't be asked."""
        return await asyncio.to_thread(self._serving)

    def _serving(self) -> _Serving | None:
        url = self.inference_url
        if url is None:
            try:
                url = running_stack(self.directory).url("inference")
            except CommandFailed:
                return None
        try:
            with Client(url, self.api_key, timeout_s=5, retries=_MODEL_WITHIN) as client:
                found = client.models().of_project(self.project)
                return _Serving(found, client.schema(self.project).classes) if found else None
        except ClientError:
            return None  # the worker will wait for it


async def _ask(place: Place, wanted: _Wanted, *, follow: bool, quiet: bool) -> tuple[Standing, list[Problem], Images]:
    await require_stream(place.broker, stream_of(wanted.project))
    serving = await wanted.serving()
    if wanted.model is not None and serving is not None and serving.model.model != wanted.model:
        raise CommandFailed(f"--model {wanted.model}: {serving.model.model} is in service")
    with view.uploading(quiet=quiet) as show:
        images, problems = await wanted.images(place, show)
    request = AnnotateRequest(
        project=wanted.project,
        images=await put_images(place.blobs, wanted.project, images),
        count=len(images.images),
        source=wanted.source,
        model=wanted.model,
        confidence=wanted.confidence,
        order=wanted.order,
        serving=serving.model.model if serving else None,
        again=uuid.uuid4().hex if wanted.again else "",
        asked_ms=int(time.time() * 1000),
    )
    if not await ask_to_annotate(place.blobs, place.queue, request) and not quiet:
        ERRORS.print("This was asked for before, and is over: --again does it once more.", markup=False)
    now = await (_followed(place, request, quiet=quiet) if follow else standing(place, request))
    return now, problems, await images_of(place, now)


async def _followed(place: Place, request: AnnotateRequest, *, quiet: bool) -> Standing:
    try:
        with view.going(quiet=quiet) as show:
            return await wait(place, request, show)
    except asyncio.CancelledError:
        ERRORS.print(f"It goes on: `labelstream annotate show {request.id[:SHORT]}`.", markup=False)
        raise


def _store(place: Place) -> StoreSettings:
    if place.store is None:
        raise Misconfigured("the object store is not known")
    return place.store


def _planned(plan: dict[str, Any]) -> str:
    size = f", {plan['bytes'] / 1e6:,.1f} MB to upload at most" if plan["bytes"] is not None else ""
    model = plan["model"] or "the one that is in service then (inference does not answer now)"
    least = f", from confidence {plan['confidence']:g} on" if plan["confidence"] is not None else ""
    skipped = f"\nSkipped: boxes of {', '.join(plan['skipped'])}." if plan["skipped"] else ""
    return (
        f"{count(plan['images'], 'image')} of {plan['source']}{size}.\nModel: {model}{least}; order: {plan['order']}.\n"
        f"Would be published on {plan['stream']}, unvalidated, with the classes {', '.join(plan['classes'])}.{skipped}"
    )
