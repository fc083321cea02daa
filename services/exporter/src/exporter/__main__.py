"""The exporter's three processes: `python -m exporter`, `… work` and `… serve`."""

from __future__ import annotations

import argparse
import sys

from exporter import app
from exporter.settings import ApiSettings, DeciderSettings, WorkerSettings
from labelstream.service.serve import serve


def main() -> int:
    """Run the process that the command line names; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="exporter",
        description="Exports, proves, seals, signs and publishes models.",
        epilog="Settings come from LABELSTREAM_… variables; the README lists them.",
    )
    roles = "decide (default): decides and signs; work: converts, without keys; serve: the public API"
    parser.add_argument("role", nargs="?", choices=["decide", "work", "serve"], default="decide", help=roles)
    role = parser.parse_args().role
    if role == "work":
        return serve("exporter-work", WorkerSettings, app.work)
    if role == "serve":
        return serve("exporter-serve", ApiSettings, app.serve_api)
    return serve("exporter", DeciderSettings, app.decide)


if __name__ == "__main__":
    sys.exit(main())
