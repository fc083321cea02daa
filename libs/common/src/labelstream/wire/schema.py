"""Writes the JSON Schema of the native messages.

`python -m labelstream.wire.schema > docs/annotation-message.schema.json`
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from labelstream.wire.bodies import BODIES

_ABOUT = (
    "A native annotation message: `type` is its CloudEvents type (application property cloudEvents_type, or the AMQP "
    "subject), `body` its MessagePack body. A string of format binary is MessagePack bin. docs/events.md says the rest."
)


def message_schema() -> dict[str, Any]:
    """Return a JSON Schema with one alternative for each native type."""
    places, definitions = models_json_schema(
        [(body, "validation") for body in dict.fromkeys(BODIES.values())], by_alias=True
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Annotation message",
        "description": _ABOUT,
        "oneOf": [_alternative(name, places[body, "validation"]) for name, body in BODIES.items()],
        "$defs": definitions["$defs"],
    }


def schema_text() -> str:
    """Return the schema as the file that is kept of it."""
    return json.dumps(message_schema(), indent=2, ensure_ascii=False) + "\n"


def _alternative(type_name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": type_name,
        "type": "object",
        "properties": {"type": {"const": type_name}, "body": body},
        "required": ["type", "body"],
    }


if __name__ == "__main__":
    sys.stdout.write(schema_text())
