"""Writes the dashboards: `make dashboards`."""

from __future__ import annotations

from pathlib import Path

from . import annotation_ingest, augmenter, broker_and_store, exporter, inference, overview, training
from .building import in_json

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"
DASHBOARDS = tuple(
    module.DASHBOARD
    for module in (overview, annotation_ingest, augmenter, training, exporter, inference, broker_and_store)
)


def main() -> None:
    """Write each into its file, and remove what is no dashboard any more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.name}.json").write_text(in_json(dashboard))
    known = {f"{dashboard.name}.json" for dashboard in DASHBOARDS}
    for file in FOLDER.glob("*.json"):
        if file.name not in known:
            file.unlink()


if __name__ == "__main__":
    main()
