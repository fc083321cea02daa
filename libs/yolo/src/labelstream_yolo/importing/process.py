"""Reads foreign weights in a child process that has no secrets and no network. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

from labelstream.errors import Rejected
from labelstream_yolo.child import Engine, EngineFailedError
from labelstream_yolo.importing.contract import SUFFIXES, Imported, ImportSpec

_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "TZ", "HOME")
_HINT = "Bring an ultralytics detector's .pt, or weights.safetensors with architecture.json beside it"


async def import_weights(file: Path, out_dir: Path) -> Imported:
    """Read a file of foreign weights into `out_dir`.

    Raises Rejected (`weights.unreadable`, `weights.task`, `weights.network`).
    """
    spec = ImportSpec(file=_found(file), out_dir=out_dir)
    bare = {name: value for name, value in os.environ.items() if name in _KEPT}
    try:
        return Imported.model_validate(
            await Engine("labelstream_yolo.importing", spec, out_dir, environment=bare).run()
        )
    except EngineFailedError as error:
        rule = (
            error.rule.replace("weights-", "weights.", 1) if error.rule.startswith("weights-") else "weights.unreadable"
        )
        raise Rejected(rule, error.reason, _HINT) from error


def _found(file: Path) -> Path:
    if not file.is_file():
        raise Rejected("weights.unreadable", f"there is no file {file}", _HINT)
    if file.suffix not in SUFFIXES:
        raise Rejected("weights.unreadable", f"{file.name} ends in none of {', '.join(SUFFIXES)}", _HINT)
    return file.resolve()
