"""labelstream devices revoke, labelstream users revoke, labelstream keys revoke."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from labelstream.model_requests import Answer, ModelRequest, RevokeDevice, RevokeKey, RevokeUser
from labelstream_cli.access.options import ANY, DeviceName, KeyName, UserName, checked_name
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Where, at_place
from labelstream_cli.models.asking import By, asked, who
from labelstream_cli.running import Directory, Json
from labelstream_local.layout import DEFAULT

Why = Annotated[str, typer.Option("--why", help="Why; it stands in the audit log.", show_default=False)]

KEEPS = "What it fetched it keeps: offline it goes on with the models that it has. The next model it can't open."


def revoke_device(
    *,
    name: DeviceName,
    why: Why,
    by: By = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """End a device's access: its grants are deleted, and it gets no other.

    What it fetched it keeps: nobody can take a key back that lies on another's disk. Every later model has a key of
    its own, which the device never gets.

    Examples:
    - `labelstream devices revoke kiosk --why "it was stolen"`
    """
    request = ModelRequest(what=RevokeDevice(name=checked_name(name)), by=who(by), why=_reason(why))
    answer = _ask(request, Where(directory, url, quiet=True))
    if as_json:
        typer.echo(json.dumps({"name": name, "outcome": answer.outcome}))
    elif answer.outcome == "known":
        typer.echo(f"{name} was revoked before. {KEEPS}")
    else:
        typer.echo(f"{name} is revoked: it gets no grant any more. {KEEPS}")


def revoke_user(
    *,
    name: UserName,
    why: Why,
    by: By = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """End a person's access: they can't log in any more, and what they logged in with before counts no longer.

    Examples:
    - `labelstream users revoke ada --why "she left"`
    """
    request = ModelRequest(what=RevokeUser(name=checked_name(name)), by=who(by), why=_reason(why))
    answer = _ask(request, Where(directory, url, quiet=True))
    if as_json:
        typer.echo(json.dumps({"name": name, "outcome": answer.outcome}))
    else:
        typer.echo(f"{name} was revoked before." if answer.outcome == "known" else f"{name} is revoked.")


def revoke_key(
    *,
    name: KeyName,
    why: Why,
    by: By = None,
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """End an API key: who shows it is refused, as soon as the replicas of inference have heard of it.

    A replica that has no network, or runs from a file of keys, goes on with those that it knows.

    Examples:
    - `labelstream keys revoke line-3 --why "it stood in a public repository"`
    """
    request = ModelRequest(what=RevokeKey(name=checked_name(name)), by=who(by), why=_reason(why))
    answer = _ask(request, Where(directory, url, quiet=True))
    if as_json:
        typer.echo(json.dumps({"name": name, "outcome": answer.outcome}))
    elif answer.outcome == "known":
        typer.echo(f"{name} was revoked before.")
    else:
        typer.echo(f"{name} is revoked: inference refuses it from its next look at the list on, in some seconds.")


def _ask(request: ModelRequest, where: Where) -> Answer:
    return at_place(where, lambda place: asked(place, ANY, request))


def _reason(why: str) -> str:
    if not why.strip():
        raise typer.BadParameter("--why: a revocation says why")
    return why.strip()
