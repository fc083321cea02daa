"""Query parameters straight into their model.

FastAPI can do the same; for a model of this size it takes a third of a millisecond of each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar, get_origin
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

M = TypeVar("M", bound=BaseModel)
_MOST = 200  # parameters of a request


def asked(request: Request, model: type[M]) -> M:
    """Return what the query of a request says. Raises RequestValidationError."""
    query = request.scope["query_string"]
    if not query:
        empty: M = _nothing(model)
        return empty
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST)
        return model.model_validate(_gathered(pairs, _repeatable(model)))
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_context=False)) from error
    except ValueError as error:
        told = {"type": "value_error", "loc": ("query",), "msg": f"there are more than {_MOST} parameters"}
        raise RequestValidationError([told]) from error


def parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return what the contract says of the same parameters."""
    told: Mapping[str, Any] = model.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key not in ("description", "default")},
        }
        for name, schema in told.items()
    ]


def _gathered(pairs: list[tuple[str, str]], repeatable: frozenset[str]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in pairs:
        if name in repeatable:
            told.setdefault(name, []).append(value)
        elif told.setdefault(name, value) != value:
            said = {"type": "value_error", "loc": (name,), "msg": f"it stands twice: {told[name]!r} and {value!r}"}
            raise RequestValidationError([said])
    return told


@lru_cache(maxsize=16)
def _nothing(model: type[M]) -> M:
    return model()


@lru_cache(maxsize=16)
def _repeatable(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for name, field in model.model_fields.items() if get_origin(field.annotation) is tuple)
