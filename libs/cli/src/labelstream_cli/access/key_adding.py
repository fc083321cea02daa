"""labelstream keys add."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Annotated, Any

import typer

from labelstream.access import MOST_GRANT_DAYS, MOST_PER_MINUTE, ApiKey, KeyToken
from labelstream.model_requests import AddKey, Answer, ModelRequest
from labelstream_cli.access.options import KeyName, Projects, checked_name, checked_projects, project_of
from labelstream_cli.access.secret_files import TokenFile, kept_while_asking
from labelstream_cli.access.words import ending
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Place, Where
from labelstream_cli.models.asking import By, NoAnswer, Why, asked, who
from labelstream_cli.running import Directory, Json, failed
from labelstream_local.layout import DEFAULT

PerMinute = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_PER_MINUTE, metavar="N", help="Requests, of each replica. Default: as many as come."),
]
Days = Annotated[
    float | None,
    typer.Option(min=0.001, max=MOST_GRANT_DAYS, metavar="N", help="It expires after so many. Default: never."),
]
Replace = Annotated[bool, typer.Option("--replace", help="Give a live key of this name another secret and rights.")]


def add_key(  # noqa: PLR0913 -- typer makes an option of each
    *,
    name: KeyName,
    projects: Projects = None,
    per_minute: PerMinute = None,
    days: Days = None,
    token_file: TokenFile = None,
    replace: Replace = False,
    by: By = None,
    why: Why = "",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a program ask models. Makes its key, which is shown this once; only a hash of it is kept.

    The program sends it with each request: `Authorization: Bearer lsk_…`, or `X-API-Key: lsk_…`. It counts when the
    replicas of inference have heard of it, some seconds later. The name of a key that was revoked or has expired is
    free.

    Examples:
    - `labelstream keys add line-3`
    - `labelstream keys add dashboard --project harbour --per-minute 600 --days 90 --why "the pilot"`
    - `labelstream keys add line-3 --replace --token-file line-3.key` gives it another secret
    """
    token = KeyToken.new()
    key = ApiKey(
        name=checked_name(name),
        id=token.id,
        secret_sha256=token.secret_sha256,
        projects=checked_projects(projects),
        per_minute=per_minute,
        expires_ms=None if days is None else int((time.time() + timedelta(days=days).total_seconds()) * 1000),
    )
    request = ModelRequest(what=AddKey(key=key, replace=replace), by=who(by), why=why)

    async def work(place: Place) -> Answer | NoAnswer:
        try:
            return await asked(place, project_of(key), request)
        except NoAnswer as error:
            return error

    answer = kept_while_asking(token_file, token.text, Where(directory, url, quiet=True), work)
    told = {"token_file": str(token_file)} if token_file else {"token": token.text}
    _tell(key, told, as_json=as_json, is_done=isinstance(answer, Answer))
    if isinstance(answer, NoAnswer):
        raise failed(answer)


def _tell(key: ApiKey, secret: dict[str, str], *, as_json: bool, is_done: bool) -> None:
    if as_json:
        told: dict[str, Any] = key.model_dump(
            mode="json", include={"name", "id", "projects", "per_minute", "expires_ms"}
        )
        typer.echo(json.dumps({**told, **secret, "outcome": "done" if is_done else None}))
        return
    of = f"models of {', '.join(key.projects)}" if key.projects else "models of every project"
    often = f", {key.per_minute:,} times a minute" if key.per_minute else ""
    until = f", {ending(key.expires_ms)}" if key.expires_ms else ""
    typer.echo(f"{key.name} may ask {of}{often}{until}." if is_done else f"{key.name} was asked for.")
    if "token" in secret:
        typer.echo(f"Its key, which is shown this once:\n{secret['token']}")
    else:
        typer.echo(f"Its key is in {secret['token_file']}.")
