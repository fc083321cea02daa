"""python -m audit [secrets] [packages] [--offline-is-fine]: 0 clean, 1 something was found, 3 nobody could be asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from audit import packages, secret_scan

ROOT = Path(__file__).parent.parent
CLEAN, FOUND, NOT_AUDITED = 0, 1, 3
PARTS: dict[str, Callable[[Path], int]] = {"secrets": secret_scan.report, "packages": packages.report}


def main(arguments: list[str]) -> int:
    """Run what is asked for, all of it by default; return the worst exit code."""
    parser = argparse.ArgumentParser("audit", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="default: both")
    parser.add_argument(
        "--offline-is-fine", action="store_true", help="do not fail when no advisory service can be asked: say it only"
    )
    told = parser.parse_args(arguments)
    codes = [PARTS[part](ROOT) for part in told.parts or PARTS]
    if FOUND in codes:
        return FOUND
    if NOT_AUDITED in codes and not told.offline_is_fine:
        return NOT_AUDITED
    return CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
