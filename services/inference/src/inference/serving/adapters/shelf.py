"""What outlives a restart: the sealed bundle in service, its grant, and how far promotions have come.

    <project>/highest.json         number and model of the highest promotion that was believed
    <project>/serving.json         the promotion in service
    <project>/probation.json       while it is on probation: the promotion behind it, and how often the service started
    <project>/reverted.json        the last promotion that was tried and went back
    <project>/<number>/bundle/     the signed directory: manifest, signature, whole sealed files
    <project>/<number>/grant.age   this device's grant

All weights on it are ciphertext; without the device's key nothing opens.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from inference.serving.models import Reverted
from inference.serving.ports import Behind, Highest
from labelstream.errors import Unavailable
from labelstream.events.model import ModelPromoted

_GRANT, _BUNDLE = "grant.age", "bundle"
_HIGHEST, _SERVING, _PROBATION, _REVERTED = "highest.json", "serving.json", "probation.json", "reverted.json"


@contextmanager
def on_disk() -> Iterator[None]:
    """Raise Unavailable for what the disk refuses: a full one may have room later."""
    try:
        yield
    except OSError as error:
        raise Unavailable("disk", error.strerror or str(error)) from error


@dataclass(frozen=True)
class DiskShelf:
    """The directory of one replica."""

    root: Path

    def highest(self, project: str) -> Highest:
        """Return the highest promotion that was believed; number 0 when there was none."""
        path = self.root / project / _HIGHEST
        return Highest(**json.loads(path.read_bytes())) if path.exists() else Highest(0, "")

    @on_disk()
    def remember(self, project: str, highest: Highest) -> None:
        """Never believe a lower number again."""
        _write(self.root / project / _HIGHEST, json.dumps(highest._asdict()).encode())

    @on_disk()
    def place(self, project: str, number: int) -> Path:
        """Return an empty directory to put the sealed files of promotion `number` into."""
        self.discard(project, number)
        directory = self.bundle(project, number)
        directory.mkdir(parents=True)
        return directory

    def bundle(self, project: str, number: int) -> Path:
        """Return where the signed directory of promotion `number` lies."""
        return self.root / project / str(number) / _BUNDLE

    @on_disk()
    def put_grant(self, project: str, number: int, grant: bytes) -> None:
        """Keep this device's grant of the model of promotion `number`."""
        _write(self.root / project / str(number) / _GRANT, grant)

    def grant(self, project: str, number: int) -> bytes:
        """Return this device's grant of the model of promotion `number`."""
        return (self.root / project / str(number) / _GRANT).read_bytes()

    @on_disk()
    def serve(self, project: str, promotion: ModelPromoted, behind: int | None = None) -> None:
        """Keep `promotion` as the one in service, and while it is on probation the one `behind` it; remove the rest."""
        folder = self.root / project
        before = next((each for each in self._known(project) if each.number == behind), None)
        if before is not None:  # first: it counts only once `promotion` is the one in service
            self._put_behind(project, Behind(number=promotion.number, before=before, starts=1))
        _write(folder / _SERVING, promotion.model_dump_json().encode())
        if before is None:
            (folder / _PROBATION).unlink(missing_ok=True)
        self._keep(project, {promotion.number, before.number if before else promotion.number})

    def serving(self, project: str) -> ModelPromoted | None:
        """Return the promotion that was in service, when its sealed files are still here."""
        try:
            promotion = ModelPromoted.model_validate_json((self.root / project / _SERVING).read_bytes())
        except (FileNotFoundError, ValidationError):  # a file of an older version is as good as none
            return None
        return promotion if self._holds(project, promotion.number) else None

    def behind(self, project: str) -> Behind | None:
        """Return what stands behind the promotion in service, while that is on probation."""
        try:
            behind = Behind.model_validate_json((self.root / project / _PROBATION).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        serving = self.serving(project)
        is_its = serving is not None and serving.number == behind.number
        return behind if is_its and self._holds(project, behind.before.number) else None

    @on_disk()
    def note_starts(self, project: str, starts: int) -> None:
        """Remember how often the service was started with the promotion that is on probation."""
        behind = self.behind(project)
        if behind is not None and behind.starts != starts:
            self._put_behind(project, behind.model_copy(update={"starts": starts}))

    @on_disk()
    def settle(self, project: str, number: int) -> None:
        """Keep nothing behind promotion `number` any more, if it is the one in service."""
        serving = self.serving(project)
        if serving is not None and serving.number == number:
            behind = self.behind(project)
            (self.root / project / _PROBATION).unlink(missing_ok=True)
            if behind is not None:
                self.discard(project, behind.before.number)

    @on_disk()
    def revert(self, project: str, reverted: Reverted) -> None:
        """Keep the promotion behind `reverted` as the one in service, if that is in service; remember why."""
        behind = self.behind(project)
        if behind is None or behind.number != reverted.number:
            return
        _write(self.root / project / _REVERTED, json.dumps(reverted._asdict()).encode())
        _write(self.root / project / _SERVING, behind.before.model_dump_json().encode())
        (self.root / project / _PROBATION).unlink(missing_ok=True)
        self.discard(project, reverted.number)

    def reverted(self, project: str) -> Reverted | None:
        """Return the last promotion that was tried and went back."""
        try:
            return Reverted(**json.loads((self.root / project / _REVERTED).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):  # a file of another version is as good as none
            return None

    def discard(self, project: str, number: int) -> None:
        """Remove the files of promotion `number`."""
        shutil.rmtree(self.root / project / str(number), ignore_errors=True)

    def _known(self, project: str) -> list[ModelPromoted]:
        """Return the promotions whose sealed files are here."""
        serving, behind = self.serving(project), self.behind(project)
        return [*([serving] if serving else []), *([behind.before] if behind else [])]

    def _holds(self, project: str, number: int) -> bool:
        return (self.root / project / str(number) / _GRANT).exists()

    def _put_behind(self, project: str, behind: Behind) -> None:
        _write(self.root / project / _PROBATION, behind.model_dump_json().encode())

    def _keep(self, project: str, numbers: set[int]) -> None:
        for path in (self.root / project).iterdir():
            if path.is_dir() and path.name not in {str(number) for number in numbers}:
                shutil.rmtree(path)


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
