"""labelstream users add."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from argon2 import PasswordHasher

from labelstream.access import User, address_sha256
from labelstream.model_requests import AddUser, ModelRequest
from labelstream_cli.access.options import Projects, Replace, UserName, checked_name, checked_projects, project_of
from labelstream_cli.access.secret_files import read_secret
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Where, at_place
from labelstream_cli.models.asking import By, Why, asked, who
from labelstream_cli.running import CommandFailed, Directory, Json, failed
from labelstream_local.layout import DEFAULT

SHORTEST = 8  # characters of a password

Email = Annotated[str, typer.Option(metavar="ADDRESS", help="The address that they log in with; only a hash is kept.")]
MayUpload = Annotated[bool, typer.Option("--may-upload", help="They may store files too.")]
PasswordFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Read the password there instead of asking for it.")
]


def add_user(  # noqa: PLR0913 -- typer makes an option of each
    *,
    name: UserName,
    email: Email,
    may_upload: MayUpload = False,
    projects: Projects = None,
    password_file: PasswordFile = None,
    replace: Replace = False,
    by: By = None,
    why: Why = "",
    directory: Directory = DEFAULT,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Let a person, or a program with a password, log in to the public API.

    The password is asked for twice, and hashed here (argon2id): only the hash leaves this command.

    Examples:
    - `labelstream users add ada --email ada@example.org`
    - `labelstream users add uploader --email ci@example.org --may-upload --password-file password`
    - `labelstream users add ada --email ada@example.org --replace` gives her another password
    """
    address = _address(email)
    password = _password(password_file)
    user = User(
        name=checked_name(name),
        email_sha256=address_sha256(address),
        password_hash=PasswordHasher().hash(password),
        may_upload=may_upload,
        projects=checked_projects(projects),
    )
    request = ModelRequest(what=AddUser(user=user, replace=replace), by=who(by), why=why)
    answer = at_place(Where(directory, url, quiet=True), lambda place: asked(place, project_of(user), request))
    if as_json:
        told = user.model_dump(mode="json", include={"name", "may_upload", "projects"})
        typer.echo(json.dumps({**told, "outcome": answer.outcome}))
    else:
        typer.echo(f"{name} may log in{' and upload' if may_upload else ''}.")


def _address(email: str) -> str:
    """Return the address. Raises typer.BadParameter."""
    address = email.strip()
    before, at, behind = address.partition("@")
    if not (before and at and behind) or any(each.isspace() for each in address):
        raise typer.BadParameter(f"--email {email}: this is no address")
    return address


def _password(file: Path | None) -> str:
    """Return the password from its file, or as it is typed twice. Raises typer.BadParameter, typer.Exit."""
    if file is not None:
        try:
            password = read_secret(file)
        except CommandFailed as error:
            raise failed(error) from error
    elif sys.stdin.isatty():
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        raise typer.BadParameter("there is no terminal to ask for the password: name a --password-file")
    if len(password) < SHORTEST:
        raise typer.BadParameter(f"the password has {len(password)} characters: take at least {SHORTEST}")
    return password
