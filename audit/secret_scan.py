"""Secrets in the tracked files, as detect-secrets finds them, beside those that a person has called harmless."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

BASELINE = Path(".secrets.baseline")
_HOW = f"""\
Take it out, and exchange it if it was ever a secret. If it is none:
  .venv/bin/detect-secrets scan --baseline {BASELINE} && .venv/bin/detect-secrets audit {BASELINE}"""


def report(root: Path) -> int:
    """Print what is new since the baseline; return 0 or 1."""
    if not (root / BASELINE).exists():
        print(f"secrets: NOT SEARCHED: there is no {BASELINE} yet: make it with `detect-secrets scan`, and audit it")
        return 1
    baseline = json.loads((root / BASELINE).read_text())
    files = tracked(root)
    new = found_in(root, files, baseline)
    undecided = [f"{name}:{one['line_number']}" for name, ones in baseline["results"].items() for one in ones
                 if one.get("is_secret") is not False]  # fmt: skip
    print(f"secrets: {len(files)} files read, {len(new)} new, {len(undecided)} that nobody has called harmless")
    for where in [*new, *undecided]:
        print(f"  {where}")
    if new or undecided:
        print(_HOW)
    return 1 if new or undecided else 0


def found_in(root: Path, files: list[str], baseline: dict[str, Any]) -> list[str]:
    """Return where in `files` something looks like a secret that the baseline does not know, and like what."""
    with transient_settings(baseline):
        found = SecretsCollection(root=str(root))
        found.scan_files(*files)
    known = {(name, one["hashed_secret"], one["type"]) for name, ones in baseline["results"].items() for one in ones}
    return sorted(
        f"{name}:{one.line_number}: {one.type}" for name, one in found if (name, one.secret_hash, one.type) not in known
    )


def tracked(root: Path) -> list[str]:
    """Return the files that git keeps, and those that it would, but for the baseline: it is full of digests."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603  ours
    return sorted(
        name for name in listed.stdout.split("\0") if name and name != str(BASELINE) and (root / name).is_file()
    )
