"""The exporter's three processes: `python -m exporter`, `… work` and `… serve`."""

from __future__ import annotations

import argparse
import sys

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
    return {"decide": _decide, "work": _work, "serve": _serve}[role]()


# Each process loads what it needs and no more: the public API has no code that signs.


def _decide() -> int:
    from exporter.app import decide  # noqa: PLC0415
    from exporter.settings import DeciderSettings  # noqa: PLC0415

    return serve("exporter", DeciderSettings, decide)


def _work() -> int:
    from exporter.work.app import WorkerSettings, work  # noqa: PLC0415

    return serve("exporter-work", WorkerSettings, work)


def _serve() -> int:
    from exporter.delivery.app import ApiSettings, serve_api  # noqa: PLC0415

    return serve("exporter-serve", ApiSettings, serve_api)


if __name__ == "__main__":
    sys.exit(main())
