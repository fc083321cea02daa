"""Reads foreign weights: `python -m labelstream_yolo.importing SPEC.json`, as labelstream_yolo.engine says."""

from __future__ import annotations

import sys
from typing import Any

from labelstream_yolo.engine import run_engine
from labelstream_yolo.importing.confinement import confine
from labelstream_yolo.importing.contract import ImportSpec
from labelstream_yolo.offline import prepare_ultralytics


def _read(spec: ImportSpec) -> dict[str, Any]:
    confined = confine()
    prepare_ultralytics(spec.out_dir / "ultralytics", threads=1)
    from labelstream_yolo.importing.loading import read_weights  # noqa: PLC0415  # torch must come after the preparation

    return read_weights(spec, confined=confined).model_dump(mode="json")


if __name__ == "__main__":
    sys.exit(run_engine(ImportSpec, lambda spec: spec.out_dir, _read))
