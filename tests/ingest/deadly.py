"""annotation-ingest with a fault: it ends at once, without a word, when it is handed a marked image."""

from __future__ import annotations

import os
import sys

from annotation_ingest import app
from annotation_ingest.adapters.decoding import Decoders
from annotation_ingest.images.imaging import Picture
from annotation_ingest.settings import IngestSettings
from labelstream.service.serve import serve

MARK = b"the end of the process"


class Deadly(Decoders):
    """Decoders that take the service with them."""

    async def decode(self, data: bytes) -> Picture:
        if data.endswith(MARK):
            os._exit(9)
        return await super().decode(data)


if __name__ == "__main__":
    app.Decoders = Deadly  # type: ignore[misc]  # this program's own fault
    sys.exit(serve(app.NAME, IngestSettings, app.main))
