"""`python -m inference`: run the service."""

from __future__ import annotations

import sys

from labelstream.service.serve import serve

from inference.app import main
from inference.settings import InferenceSettings

if __name__ == "__main__":
    sys.exit(serve("inference", InferenceSettings, main))
