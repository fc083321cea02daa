"""labelstream devices add."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from labelstream.access import MOST_GRANT_DAYS, Device
from labelstream.model_requests import AddDevice, Answer, ModelRequest
from labelstream.values import sha256_hex
from labelstream_cli.access.options import (
    DeviceName,
    Projects,
    Replace,
    checked_name,
    checked_projects,
    checked_recipient,
    project_of,
)
from labelstream_cli.access.secret_files import TokenFile, kept_while_asking, new_token
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Place, Where
from labelstream_cli.models.asking import By, NoAnswer, Why, asked, who
from labelstream_cli.running import Directory, Json, failed
from labelstream_local.layout import DEFAULT

Recipient = Annotated[
    str, typer.Option(metavar="age1…", help="Its public key, as `labelstream devices new-key` or a plugin printed it.")
]
GrantDays = Annotated[
    float | None,
    typer.Option(
        min=0.001, max=MOST_GRANT_DAYS, metavar="N", help="Its grants end after so many days. Default: never."
    ),
]


def add_device(  # noqa: PLR0913 -- typer makes an option of each
    *,
    name: DeviceName,
    recipient: Recipient,
    projects: Projects = None,
    grant_days: GrantDays = None,
    token_file: TokenFile = None,
    replace: Replace = False,
    by: By = None,
    why: Why = "",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a device fetch models. Makes its token, which is shown this once; only a hash of it is kept.

    The device opens models with its own key; with the token it asks for them. It can have every model that is there,
    from now on: nothing is sealed anew, a grant is made when it asks for one.

    Examples:
    - `labelstream devices add kiosk --recipient age1… --token-file kiosk.token`
    - `labelstream devices add kiosk --recipient age1… --project harbour --grant-days 30`
    - `labelstream devices add kiosk --recipient age1… --replace --why "a new disk"`
    """
    token = new_token()
    device = Device(
        name=checked_name(name),
        recipient=checked_recipient(recipient),
        token_sha256=sha256_hex(token.encode()),
        projects=checked_projects(projects),
        grant_days=grant_days,
    )
    request = ModelRequest(what=AddDevice(device=device, replace=replace), by=who(by), why=why)

    async def work(place: Place) -> Answer | NoAnswer:
        try:
            return await asked(place, project_of(device), request)
        except NoAnswer as error:
            return error

    answer = kept_while_asking(token_file, token, Where(directory, url, quiet=True), work)
    _tell(device, None if token_file else token, token_file, as_json=as_json, is_done=isinstance(answer, Answer))
    if isinstance(answer, NoAnswer):
        raise failed(answer)


def _tell(device: Device, token: str | None, file: Path | None, *, as_json: bool, is_done: bool) -> None:
    if as_json:
        told: dict[str, Any] = device.model_dump(mode="json", include={"name", "recipient", "projects", "grant_days"})
        secret = {"token": token} if token else {"token_file": str(file)}
        typer.echo(json.dumps({**told, **secret, "outcome": "done" if is_done else None}))
        return
    of = f"models of {', '.join(device.projects)}" if device.projects else "models of every project"
    ends = f", with grants of {device.grant_days:g} days" if device.grant_days else ""
    typer.echo(f"{device.name} may fetch {of}{ends}." if is_done else f"{device.name} was asked for.")
    if token is None:
        typer.echo(f"Its token is in {file}.")
    else:
        typer.echo(f"Its token, which is shown this once:\n{token}")
