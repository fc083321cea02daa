"""The augmenter's two roles: `python -m augmenter` (decider) and `python -m augmenter work` (worker alone)."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Run the role that the command line names; return its exit code."""
    from augmenter import app  # noqa: PLC0415  # worker processes read this file too, and need none of this
    from augmenter.settings import AugmenterSettings  # noqa: PLC0415
    from labelstream.service.serve import serve  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="augmenter",
        description="Turns validated annotations into archives of the originals and their variants.",
        epilog="Settings come from LABELSTREAM_… variables; the README lists them.",
    )
    roles = (
        "decide (default): groups annotations into batches, makes their archives, says so; "
        "work: makes archives for a decider that is told LABELSTREAM_AUGMENTER__SHARE=true"
    )
    parser.add_argument("role", nargs="?", choices=["decide", "work"], default="decide", help=roles)
    role = parser.parse_args().role
    name, run = ("augmenter-work", app.work) if role == "work" else ("augmenter", app.decide)
    return serve(name, AugmenterSettings, run)


if __name__ == "__main__":
    sys.exit(main())
