"""Run the augmenter: `python -m augmenter`."""

from __future__ import annotations

import sys

if __name__ == "__main__":  # worker processes read this file too, and need none of this
    from augmenter.app import main
    from augmenter.settings import AugmenterSettings
    from labelstream.service.serve import serve

    sys.exit(serve("augmenter", AugmenterSettings, main))
