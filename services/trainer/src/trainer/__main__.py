"""The trainer's two roles: `python -m trainer` (decider and worker) and `python -m trainer work` (worker alone)."""

from __future__ import annotations

import argparse
import sys

from labelstream.service.serve import serve
from trainer import app
from trainer.settings import TrainerSettings


def main() -> int:
    """Run the role that the command line names; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="trainer",
        description="Decides when a training is due, builds the dataset, trains and evaluates.",
        epilog="Settings come from LABELSTREAM_… variables; the README lists them.",
    )
    roles = "decide (default): decides, and works unless LABELSTREAM_TRAINER__WORK=false; work: a worker alone"
    parser.add_argument("role", nargs="?", choices=["decide", "work"], default="decide", help=roles)
    role = parser.parse_args().role
    name, run = ("trainer-work", app.work) if role == "work" else ("trainer", app.decide)
    return serve(name, TrainerSettings, run)


if __name__ == "__main__":
    sys.exit(main())
