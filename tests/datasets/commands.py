"""Typing `labelstream` at a stack that takes annotations and augments them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from labelstream_cli.main import app
from labelstream_local.stack import Options, Stack

CLASSES = ["car", "plane", "house", "silo", "truck"]
_PATIENCE_S = 300.0


def options(directory: Path) -> Options:
    """Return how the tests' stack is told to work: small batches, little patience."""
    schema = directory / "scenes.json"
    schema.write_text(json.dumps({"name": "scenes", "version": 1, "classes": CLASSES}))
    told = {"LABELSTREAM_AUGMENTER__BATCH_COUNT": "8", "LABELSTREAM_AUGMENTER__BATCH_AGE_S": "0.5"}
    services = ("annotation-ingest", "augmenter")
    return Options(services=services, schemas={"default": str(schema)}, told={"augmenter": told})


@dataclass(frozen=True)
class Bench:
    """A stack, and drawn scenes to push."""

    stack: Stack
    scenes: Path
    scratch: Path

    def type(self, *arguments: str, expected: int = 0) -> Result:
        """Run a command; its exit code is the expected one."""
        result = CliRunner().invoke(app, [*arguments, "--dir", str(self.stack.layout.root)], env={"COLUMNS": "100"})
        assert result.exit_code == expected, f"{result.output}\n{result.exception!r}"
        return result

    def dataset(self, *arguments: str, expected: int = 0) -> dict[str, Any]:
        """Run `labelstream dataset … --json`; return the one object on standard output."""
        said: dict[str, Any] = json.loads(self.type("dataset", *arguments, "--json", expected=expected).stdout)
        return said

    def push(self, clips: Iterable[int], *arguments: str) -> int:
        """Push some clips, and wait until they are augmented; return the offset of annotation-events then."""
        folder = self.folder(clips)
        self.type("push", str(folder), "--wait", "--restart", *arguments)
        return self.augmented()

    def augmented(self) -> int:
        """Wait until everything that is annotated is augmented; return up to which offset."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            result = CliRunner().invoke(
                app, ["dataset", "build", "--dry-run", "--json", "--dir", str(self.stack.layout.root)]
            )
            said = json.loads(result.stdout) if result.exit_code == 0 else {}
            if said and said["description"]["cut"]["offset"] == said["annotations_end"]:
                return int(said["annotations_end"])
            time.sleep(0.3)
        raise AssertionError(f"not augmented within {_PATIENCE_S:.0f} s: {result.output}")

    def folder(self, clips: Iterable[int]) -> Path:
        """Return a folder with the frames of some clips."""
        stems = {f"clip-{number:04d}" for number in clips}
        folder = self.scratch / f"clips-{'-'.join(sorted(stems))}"
        for kind in ("images", "labels"):
            (folder / kind).mkdir(parents=True)
            for file in (self.scenes / kind).iterdir():
                if file.name.partition("_")[0] in stems:
                    shutil.copy(file, folder / kind)
        shutil.copy(self.scenes / "data.yaml", folder)
        first, *lines = (self.scenes / "media.csv").read_text().splitlines()
        mine = [line for line in lines if line.partition("_")[0] in stems]
        (folder / "media.csv").write_text("\n".join([first, *mine, ""]))
        return folder
