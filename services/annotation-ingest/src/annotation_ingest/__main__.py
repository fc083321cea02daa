"""Runs the service: `python -m annotation_ingest`."""

from __future__ import annotations

import sys

from annotation_ingest.app import NAME, main
from annotation_ingest.settings import IngestSettings
from labelstream.service.serve import serve

if __name__ == "__main__":
    sys.exit(serve(NAME, IngestSettings, main))
