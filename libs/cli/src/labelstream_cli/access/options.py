"""What the commands about devices, people and API keys are told."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from labelstream.access import ApiKey, Device, User

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_FORM = "small letters, digits and hyphens"

DeviceName = Annotated[str, typer.Argument(metavar="NAME", help=f"The device's name: {_FORM}.", show_default=False)]
UserName = Annotated[
    str, typer.Argument(metavar="NAME", help=f"What the audit log calls them: {_FORM}.", show_default=False)
]
KeyName = Annotated[str, typer.Argument(metavar="NAME", help=f"What people call it: {_FORM}.", show_default=False)]
Projects = Annotated[
    list[str] | None,
    typer.Option("--project", metavar="PROJECT", help="Only this project's models; again for more. Default: all."),
]
Replace = Annotated[bool, typer.Option("--replace", help="Give a name that is there what is told now instead.")]
Limit = Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")]
After = Annotated[str, typer.Option(metavar="NAME", help="Go on behind this name.", show_default=False)]


def checked_name(name: str) -> str:
    """Return a name that can be one. Raises typer.BadParameter."""
    if _NAME.fullmatch(name) is None:
        raise typer.BadParameter(f"{name!r} can't be a name: {_FORM}, at most 63, and the first is no hyphen")
    return name


def checked_projects(projects: list[str] | None) -> tuple[str, ...] | None:
    """Return the projects; None for all. Raises typer.BadParameter."""
    return tuple(dict.fromkeys(checked_name(project) for project in projects)) if projects else None


def checked_recipient(recipient: str) -> str:
    """Return what looks like a public key; the exporter tries it. Raises typer.BadParameter, which repeats nothing."""
    if re.fullmatch(r"age1[0-9a-z]+", recipient.strip()) is None:
        raise typer.BadParameter(
            "what was given is no public key: one begins age1, in small letters and digits. If it was the private one, "
            "make another with `labelstream devices new-key`: this one stands in your shell's history now.",
            param_hint="--recipient",
        )
    return recipient.strip()


def project_of(record: Device | User | ApiKey) -> str:
    """Return the project under which it is asked for: an answer has to lie somewhere."""
    return record.projects[0] if record.projects else ANY


ANY = "default"  # devices, people and keys belong to no project
