"""Run the augmenter: `python -m augmenter`."""

from __future__ import annotations

import sys

from labelstream.service.serve import serve

from augmenter.app import main
from augmenter.settings import AugmenterSettings

if __name__ == "__main__":
    sys.exit(serve("augmenter", AugmenterSettings, main))
