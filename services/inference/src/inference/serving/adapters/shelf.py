"""What outlives a restart: the sealed bundle in service, its grant, and how far promotions have come.

    <project>/highest.json         number and model of the highest promotion that was believed
    <project>/serving.json         the promotion in service
    <project>/<number>/bundle/     the signed directory: manifest, signature, whole sealed files
    <project>/<number>/grant.age   this device's grant

All weights on it are ciphertext; without the device's key nothing opens.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from inference.serving.ports import Highest
from labelstream.events.model import ModelPromoted

_GRANT, _BUNDLE, _SERVING, _HIGHEST = "grant.age", "bundle", "serving.json", "highest.json"


@dataclass(frozen=True)
class DiskShelf:
    """The directory of one replica."""

    root: Path

    def highest(self, project: str) -> Highest:
        """Return the highest promotion that was believed; number 0 when there was none."""
        path = self.root / project / _HIGHEST
        return Highest(**json.loads(path.read_bytes())) if path.exists() else Highest(0, "")

    def remember(self, project: str, highest: Highest) -> None:
        """Never believe a lower number again."""
        _write(self.root / project / _HIGHEST, json.dumps(highest._asdict()).encode())

    def place(self, project: str, number: int) -> Path:
        """Return an empty directory to put the sealed files of promotion `number` into."""
        self.discard(project, number)
        directory = self.bundle(project, number)
        directory.mkdir(parents=True)
        return directory

    def bundle(self, project: str, number: int) -> Path:
        """Return where the signed directory of promotion `number` lies."""
        return self.root / project / str(number) / _BUNDLE

    def put_grant(self, project: str, number: int, grant: bytes) -> None:
        """Keep this device's grant of the model of promotion `number`."""
        _write(self.root / project / str(number) / _GRANT, grant)

    def grant(self, project: str, number: int) -> bytes:
        """Return this device's grant of the model of promotion `number`."""
        return (self.root / project / str(number) / _GRANT).read_bytes()

    def serve(self, project: str, promotion: ModelPromoted) -> None:
        """Keep `promotion` as the one in service and remove the files of others."""
        _write(self.root / project / _SERVING, promotion.model_dump_json().encode())
        for path in (self.root / project).iterdir():
            if path.is_dir() and path.name != str(promotion.number):
                shutil.rmtree(path)

    def serving(self, project: str) -> ModelPromoted | None:
        """Return the promotion that was in service, when its sealed files are still here."""
        try:
            promotion = ModelPromoted.model_validate_json((self.root / project / _SERVING).read_bytes())
        except (FileNotFoundError, ValidationError):  # a file of an older version is as good as none
            return None
        return promotion if (self.root / project / str(promotion.number) / _GRANT).exists() else None

    def discard(self, project: str, number: int) -> None:
        """Remove the files of promotion `number`."""
        shutil.rmtree(self.root / project / str(number), ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
