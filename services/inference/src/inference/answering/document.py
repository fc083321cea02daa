"""Prints the OpenAPI document: `python -m inference.answering.document > docs/api-inference.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import SecretStr

from inference.access.open import Open
from inference.answering.images import decode
from inference.engine.choosing import Engines
from inference.serving.loading import Loader
from inference.serving.models import Models
from inference.settings import InferenceGroup
from inference.wiring import answering
from labelstream.service.health import Health


def api_document() -> str:
    """Return the document of a replica that has no models."""
    none = SecretStr("")
    group = InferenceGroup(
        device_identity=none, device_token=none, exporter_url="", trusted_keys=(Path("none"),), threads=1
    )
    loader = Loader((), "", Engines("cpu", threads=1), decode)
    made = answering(group, Health(), Models(["default"]), Open(), loader, ())
    made.close()
    return json.dumps(made.api.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(api_document())
