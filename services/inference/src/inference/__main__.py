"""`inference`, or `python -m inference`: run the service, or serve pulled models without a network."""

from __future__ import annotations

import sys

from inference.command import main

if __name__ == "__main__":
    sys.exit(main())
