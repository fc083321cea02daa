"""`python -m inference`: run the service."""

from __future__ import annotations

import sys

from inference.app import main
from inference.settings import InferenceSettings
from labelstream.service.serve import serve

if __name__ == "__main__":
    sys.exit(serve("inference", InferenceSettings, main))
