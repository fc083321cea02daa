"""Writes the JSON Schema of recipes, with which editors complete and check them.

`python -m augmenter.recipe_schema > docs/recipe.schema.json`
"""

from __future__ import annotations

import json
import sys
from typing import Any

from augmenter.recipe import Recipe


def recipe_schema() -> dict[str, Any]:
    """Return the schema, as generated from the models."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(),
        "title": "Augmentation recipe",
    }


def schema_text() -> str:
    """Return the schema as the file that is kept of it."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
