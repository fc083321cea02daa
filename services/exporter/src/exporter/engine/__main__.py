"""Exports one model: `python -m exporter.engine SPEC.json`; labelstream_yolo.engine says what it leaves."""

from __future__ import annotations

import sys
from typing import Any

from exporter.engine.contract import ExportSpec
from labelstream_yolo.engine import run_engine
from labelstream_yolo.offline import prepare_ultralytics


def _export(spec: ExportSpec) -> dict[str, Any]:
    prepare_ultralytics(spec.out_dir / "ultralytics", threads=1)
    from exporter.engine.job import export  # noqa: PLC0415  # torch must come after the preparation

    return export(spec).model_dump(mode="json", by_alias=True)


if __name__ == "__main__":
    sys.exit(run_engine(ExportSpec, lambda spec: spec.out_dir, _export))
