"""labelstream models promote, rollback and withdraw: asking the exporter, and saying what happened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from labelstream.champions import served_before
from labelstream.model_requests import Answer, Ask, ModelRequest, Promote, Rollback, Withdraw
from labelstream.models import ModelBook, ModelState
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Place, Where, at_place
from labelstream_cli.jobs.words import SHORT
from labelstream_cli.models.asking import By, ask, asked, who
from labelstream_cli.models.book import chosen, read_models
from labelstream_cli.models.options import ModelId, NoWait, OfProject
from labelstream_cli.running import CommandFailed, Directory, Json
from labelstream_local.layout import DEFAULT

Why = Annotated[str, typer.Option("--why", help="Why; it stands in the event.", show_default=False)]
To = Annotated[
    str | None, typer.Option("--to", metavar="MODEL", help="A model that served once; default: the one before.")
]


@dataclass(frozen=True)
class Changed:
    """What was asked for and what came of it."""

    what: str
    model: ModelState
    before: ModelState | None  # that served when it was asked for
    answer: Answer | None  # None: nobody waited for it

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        answer = self.answer
        return {
            "asked": self.what,
            "project": self.model.project,
            "model": self.model.model,
            "served_before": self.before.model if self.before else None,
            "outcome": answer.outcome if answer else None,
            "number": answer.number if answer else None,
            "hint": answer.hint if answer else "",
        }


@dataclass(frozen=True)
class _Asking:
    """Who asks, why, and whether they wait for the answer."""

    by: str
    why: str
    wait: bool


def promote_model(
    *,
    model: ModelId,
    why: Why,
    by: By = None,
    project: OfProject = None,
    no_wait: NoWait = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a model serve, whatever the policy says. It is signed and numbered, and stands in the log with who and why.

    Examples:
    - `labelstream models promote 3fa9 --why "fewer false alarms at night"`
    - `labelstream models promote 3fa9 --why "as agreed" --by ana --json | jq .number`
    """
    asking = _Asking(who(by), _reason(why), not no_wait)

    async def work(place: Place) -> Changed:
        book = await read_models(place)
        state = chosen(book, model, project)
        return await _changed(place, book, state, Promote(model=state.model), asking)

    _tell(at_place(Where(directory, url, project, quiet=True), work), as_json=as_json)


def rollback_model(
    *,
    to: To = None,
    why: Why,
    by: By = None,
    project: OfProject = None,
    no_wait: NoWait = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let the model serve again that served before: a new promotion, with a higher number, of the same signed bytes.

    Two rollbacks in a row go two steps back.

    Examples:
    - `labelstream models rollback --why "misses trucks since noon"`
    - `labelstream models rollback --to 3fa9 --why "the last one that the customer accepted"`
    """
    asking = _Asking(who(by), _reason(why), not no_wait)

    async def work(place: Place) -> Changed:
        book = await read_models(place)
        state = chosen(book, to, project) if to is not None else before_in(book, project)
        return await _changed(place, book, state, Rollback(to=state.model), asking)

    _tell(at_place(Where(directory, url, project, quiet=True), work), as_json=as_json)


def withdraw_model(
    *,
    model: ModelId,
    why: Why,
    by: By = None,
    project: OfProject = None,
    no_wait: NoWait = False,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Never let a model serve again, and grant it to nobody: its grants are deleted.

    Devices that fetched it before keep what they have. The model in service can't be withdrawn: roll back first.

    Examples:
    - `labelstream models withdraw 3fa9 --why "trained on mislabelled images"`
    """
    asking = _Asking(who(by), _reason(why), not no_wait)

    async def work(place: Place) -> Changed:
        book = await read_models(place)
        state = chosen(book, model, project)
        return await _changed(place, book, state, Withdraw(model=state.model), asking)

    _tell(at_place(Where(directory, url, project, quiet=True), work), as_json=as_json)


def before_in(book: ModelBook, project: str | None) -> ModelState:
    """Return the model to go back to. Raises CommandFailed when there is none.

    It is found here and named in the request, so that a request that comes twice goes back once.
    """
    serving = chosen(book, "serving", project)
    before = served_before(book, serving.project)
    if before is None:
        raise CommandFailed(
            f"rollback.nothing_before: no other model that served in {serving.project} may serve again. "
            "`labelstream models list` shows what there is; `labelstream models promote` lets any of it serve."
        )
    return before


async def _changed(place: Place, book: ModelBook, state: ModelState, what: Ask, asking: _Asking) -> Changed:
    request = ModelRequest(what=what, by=asking.by, why=asking.why)
    answer = None
    if asking.wait:
        answer = await asked(place, state.project, request)
    else:
        await ask(place.queue, state.project, request)
    return Changed(what.ask, state, book.champion(state.project), answer)


def _reason(why: str) -> str:
    if not why.strip():
        raise typer.BadParameter("--why: say why, for those who read the log later")
    return why.strip()


def _tell(changed: Changed, *, as_json: bool) -> None:
    typer.echo(json.dumps(changed.as_json()) if as_json else "\n".join(in_words(changed)))


def in_words(changed: Changed) -> list[str]:
    """Say what happened, in lines."""
    model, before, answer = changed.model.model[:SHORT], changed.before, changed.answer
    project = changed.model.project
    if answer is None:
        return [
            f"Asked to {changed.what} {model} of {project}. `labelstream models show {model}` tells what became of it."
        ]
    if changed.what == "withdraw":
        said = f"Model {model} of {project} " + (
            "was withdrawn before" if answer.outcome == "known" else "is withdrawn"
        )
        lines = [f"{said}: it is never promoted again, and its grants are deleted."]
    elif answer.outcome == "known":
        lines = [f"Model {model} of {project} serves already, by promotion {answer.number}."]
    else:
        old = f"{before.model[:SHORT]} → {model}" if before else model
        lines = [f"Promotion {answer.number} of {project}: {old}. Inference swaps once it has fetched and checked it."]
    return [*lines, answer.hint] if answer.hint else lines
