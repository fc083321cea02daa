"""Tables of a model's fields, for the pages that are made from code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import EllipsisType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel


def table(model: type[BaseModel]) -> str:
    """Return a table of the model's fields: name, type, meaning."""
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = field.description or ""
        if not field.is_required():
            meaning = f"{meaning} (optional{_default(field.default)})".strip()
        rows.append(
            f"| `{field.alias or name}` | {type_name(field.annotation)} | {meaning.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(rows) + "\n"


def value_tables(models: Iterable[type[BaseModel]]) -> Iterator[str]:
    """Yield a heading and a table for each value that the models' fields are made of, by name."""
    seen: dict[str, type[BaseModel]] = {}
    for model in models:
        _collect(model, seen)
    for name, value in sorted(seen.items()):
        yield f"### {name}\n\n{inspect.getdoc(value)}\n"
        yield table(value)


def type_name(annotation: Any) -> str:
    """Return a type as a reader of any language understands it; null is left out, since a field says optional."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(str(value) for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(type_name(one) for one in arguments if one is not NoneType)
    if origin is not None:
        return f"{origin.__name__}[{', '.join(type_name(one) for one in arguments)}]"
    if isinstance(annotation, EllipsisType):
        return "..."
    return str(getattr(annotation, "__name__", annotation))


def _default(value: object) -> str:
    """Return what a field is when it is left out, where that says something."""
    if isinstance(value, bool):
        return f"; default: {str(value).lower()}"
    return f"; default: {value}" if isinstance(value, (int, float, str)) else ""


def _collect(model: type[BaseModel], seen: dict[str, type[BaseModel]]) -> None:
    for field in model.model_fields.values():
        for part in _classes_in(field.annotation):
            if part.__name__ not in seen:
                seen[part.__name__] = part
                _collect(part, seen)


def _classes_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and not get_args(annotation):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in get_args(annotation):
        yield from _classes_in(argument)
