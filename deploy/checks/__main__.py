"""`python -m deploy.checks [KUSTOMIZATION …]`: render, check, say what is wrong; without names, all that is shipped."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.checks.checking import faults
from deploy.checks.rendering import K8S, KEPT, NotRendered, render, renderer

SHIPPED = (*KEPT, K8S / "site-example")


def main(named: list[str]) -> int:
    """Check; return 1 when something is wrong."""
    wrong = 0
    if renderer() is None and not named:
        print("without kubectl: as `make manifests` last rendered the two overlays", file=sys.stderr)  # noqa: T201
    for kustomization in [Path(one) for one in named] or (SHIPPED if renderer() else KEPT):
        try:
            documents = render(kustomization)
        except NotRendered as error:
            print(error, file=sys.stderr)  # noqa: T201 -- a person reads this
            return 1
        found = faults(documents)
        wrong += len(found)
        print(f"{kustomization}: {len(documents.every)} objects, {len(found) or 'no'} faults")  # noqa: T201
        for fault in found:
            print(f"  {fault}")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
