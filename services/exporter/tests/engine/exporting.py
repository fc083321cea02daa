"""Exports several formats in one process; run as a program: ultralytics stays out of the tests' own process.

python exporting.py SPECS.json RESULTS.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from exporter.engine.contract import ExportSpec
from labelstream_yolo.offline import prepare_ultralytics


def main(specs: Path, results: Path) -> None:
    orders = [ExportSpec.model_validate(each) for each in json.loads(specs.read_text())]
    prepare_ultralytics(orders[0].out_dir / "ultralytics", threads=1)
    from exporter.engine.job import export  # noqa: PLC0415  # after the preparation

    done = []
    for order in orders:
        order.out_dir.mkdir(parents=True, exist_ok=True)
        done.append(export(order).model_dump(mode="json"))
    results.write_text(json.dumps(done))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
