"""labelstream keys export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from labelstream.access import ApiKey, KeyList
from labelstream_cli.access.options import Projects, checked_projects
from labelstream_cli.access.place import AccessPlace, at_access
from labelstream_cli.access.records import KEYS, Page, read_page
from labelstream_cli.access.secret_files import write_secret
from labelstream_cli.access.words import now_ms
from labelstream_cli.jobs.options import Url
from labelstream_cli.jobs.place import Where
from labelstream_cli.running import CommandFailed, Directory, Json, failed
from labelstream_local.layout import DEFAULT

KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; it must not be there yet.")]


def export_keys(
    *, file: KeyFile, projects: Projects = None, directory: Directory = DEFAULT, url: Url = None, as_json: Json = False
) -> None:
    """Write the API keys that count now into a file, for inference without a network: their hashes, no key itself.

    Such a replica reads the file once, at its start: what is added or revoked later it does not hear of.

    Examples:
    - `labelstream keys export keys.json`
    - `labelstream keys export keys.json --project harbour`
    - `inference --bundle bundle --identity device.key --trusted-key verify.pub --api-keys keys.json`
    """
    chosen = checked_projects(projects)

    async def work(place: AccessPlace) -> Page[ApiKey]:
        return await read_page(place.resources, KEYS, ApiKey, "", 0)

    page = at_access(Where(directory, url, quiet=True), work)
    try:
        if page.unreadable:
            raise CommandFailed(
                f"what is kept of {', '.join(page.unreadable)} can't be read: revoke it, or add it anew"
            )
        keys = KeyList(
            keys=tuple(key.facts() for key in page.records if key.is_live(now_ms()) and _is_for(key, chosen))
        )
        write_secret(file, keys.model_dump_json(exclude_none=True) + "\n")
    except CommandFailed as error:
        raise failed(error) from error
    if as_json:
        typer.echo(json.dumps({"file": str(file), "keys": [key.id for key in keys.keys]}))
    else:
        typer.echo(f"{file} lets in {len(keys.keys)} {'key' if len(keys.keys) == 1 else 'keys'}.")


def _is_for(key: ApiKey, projects: tuple[str, ...] | None) -> bool:
    return projects is None or key.projects is None or not set(projects).isdisjoint(key.projects)
