"""How an embedded stack was started, as a backup carries it to the place of a restore.

Elsewhere (compose, Kubernetes) settings lie in files of their own, which a backup does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field

from labelstream.schemas import names
from labelstream.values import Value, digest_of
from labelstream_cli.running import CommandFailed
from labelstream_cli.setting import FILES
from labelstream_local.record import Record
from labelstream_local.secret_files import private_directory, write_private

# How names of variables end that hold a secret, or (_FILE) name a file that may hold one: no backup has them in clear.
_KEPT_APART = ("_FILE", "PASSWORD", "TOKEN", "SECRET", "KEY", "IDENTITY", "HEADERS")


class StackSettings(Value):
    """Class schemas and variables, and the files that those name."""

    schemas: dict[str, str] = Field(default_factory=dict)  # project → a shipped class schema, or a path
    told: dict[str, dict[str, str]] = Field(default_factory=dict)  # service → variables
    files: dict[str, str] = Field(default_factory=dict)  # path → text

    def in_words(self) -> list[str]:
        """Say what there is."""
        schemas = [f"the class schema of {project}" for project in sorted(self.schemas)]
        return schemas + [f"{service}: {', '.join(sorted(told))}" for service, told in sorted(self.told.items())]


def settings_of(record: Record) -> StackSettings | None:
    """Return the settings of a stack; None where they lie elsewhere."""
    if record.compose:
        return None
    told = {
        service: {name: value for name, value in variables.items() if not name.endswith(_KEPT_APART)}
        for service, variables in record.told.items()
    }
    named = [schema for schema in record.schemas.values() if schema not in names()]
    named += [value for variables in told.values() for value in variables.values() if value.endswith(FILES)]
    return StackSettings(schemas=record.schemas, told=told, files=_texts(named))


def laid_out(settings: StackSettings, folder: Path) -> StackSettings:
    """Write the files into a folder; return the settings with the paths that they have now."""
    moved = {path: _laid(Path(path).name, text, folder) for path, text in settings.files.items()}
    return StackSettings(
        schemas=_renamed(settings.schemas, moved),
        told={service: _renamed(told, moved) for service, told in settings.told.items()},
    )


def _texts(paths: Iterable[str]) -> dict[str, str]:
    """Return what the files hold; one that is gone can't be told. Raises CommandFailed."""
    try:
        return {path: Path(path).read_text() for path in paths if Path(path).is_file()}
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"a file that the stack's settings name can't be backed up: {error}") from error


def _laid(name: str, text: str, folder: Path) -> str:
    return str(write_private(private_directory(folder) / f"{digest_of(text)[:12]}-{name}", text))


def _renamed(values: Mapping[str, str], moved: Mapping[str, str]) -> dict[str, str]:
    return {name: moved.get(value, value) for name, value in values.items()}
