"""labelstream models twin: an artifact in the legacy form, for readers that know nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from labelstream import keys
from labelstream.model_requests import Answer, ModelRequest, WriteTwin
from labelstream.models import ModelState
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.models.asking import By, asked, who
from labelstream_cli.models.book import chosen, read_models
from labelstream_cli.models.options import ModelId, OfProject
from labelstream_cli.running import CommandFailed, Directory, Json
from labelstream_local.layout import DEFAULT

ANSWER_S = 300.0  # a large model is opened, sealed and stored twice

Folder = Annotated[str, typer.Option("--folder", metavar="NAME", help="The folder that readers ask for.")]
File = Annotated[str, typer.Option("--file", metavar="NAME", help="The file that readers ask for.")]
Format = Annotated[str, typer.Option("--artifact", metavar="FORMAT", help="Which of the model's artifacts.")]


@dataclass(frozen=True)
class Twin:
    """What was asked for, and the answer."""

    model: ModelState
    what: WriteTwin
    answer: Answer

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        where = keys.twin(self.what.folder, self.what.file)
        return {
            "project": self.model.project,
            "model": self.model.model,
            "artifact": self.what.artifact,
            "big_part": where,
            "small_part": {"path": f"/resources/get/{self.what.folder}", "fileName": self.what.file},
            "outcome": self.answer.outcome,
        }


def write_twin(  # noqa: PLR0913 -- typer makes an option of each
    *,
    model: ModelId,
    folder: Folder,
    file: File,
    artifact: Format = "onnx-fp32",
    by: By = None,
    project: OfProject = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write an artifact in the legacy form (AES-256-CBC): the small part behind the API, the big part beside models.

    An older twin of the name is written over. The decider needs the readers' key string (its setting LEGACY_KEY).
    The legacy form proves nothing to its reader: use grants where you can.

    Examples:
    - `labelstream models twin serving --folder models --file detector.onnx`
    - `labelstream models twin 3fa9 --folder models --file detector.onnx --artifact onnx-int8`
    """
    asker = who(by)

    async def work(place: Place) -> Twin:
        return await twin_of(place, model, project, {"folder": folder, "file": file, "artifact": artifact}, asker)

    twin = at_place(Where(directory, url, project, quiet=True), work)
    typer.echo(json.dumps(twin.as_json()) if as_json else "\n".join(in_words(twin)))


async def twin_of(place: Place, model: str, project: str | None, told: dict[str, str], by: str) -> Twin:
    """Ask for a twin, and return what became of it. Raises CommandFailed, Unavailable."""
    state = chosen(await read_models(place), model, project)
    try:
        what = WriteTwin(model=state.model, **told)
    except ValidationError as error:
        option = error.errors()[0]["loc"][-1]
        shown = told.get(str(option), "")
        allowed = "letters, digits, dots, hyphens and underscores, with a letter or a digit first"
        raise CommandFailed(f"--{option} {shown!r}: a name is made of {allowed}") from None
    answer = await asked(place, state.project, ModelRequest(what=what, by=by), ANSWER_S)
    return Twin(state, what, answer)


def in_words(twin: Twin) -> list[str]:
    """Say where the parts lie, in lines."""
    what = twin.what
    return [
        f"{what.artifact} of {twin.model.model[:SHORT]} is written in the legacy form.",
        f"  big part    {keys.twin(what.folder, what.file)} in the model bucket",
        f"  small part  POST /resources/get/{what.folder} of the exporter's API, fileName {what.file}",
    ]
