"""Writes the JSON Schema of a bundle's manifest.

`python -m labelstream.protection.schema > docs/bundle.schema.json`
"""

from __future__ import annotations

import json
import sys
from typing import Any

from labelstream.bundle import Manifest

_ABOUT = (
    "manifest.json of a model's bundle. Fields are only ever added: a reader ignores those that it does not know. "
    "A file that a manifest does not list must not lie in the signed directory, model.sig apart."
)


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of `manifest.json`."""
    schema = Manifest.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Bundle manifest",
        "description": _ABOUT,
    }


def schema_text() -> str:
    """Return the schema as the file that is kept of it."""
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
