"""Says in plain words what is wrong with a field of a native body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from labelstream.errors import Rejected
from labelstream.wire.checking import too_large
from labelstream.wire.submission import shown

_EITHER = "int"  # how pydantic names the first alternative of a class: it is no field
_SINGULAR = {"boxes": "box", "names": "name", "tags": "tag", "classes": "class"}
_KINDS: Mapping[str, str] = {
    "model_type": "a map with string keys",
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "bytes_type": "bytes (MessagePack bin)",
    "list_type": "a list",
}
_Words = Callable[[ErrorDetails], str]
_FAULTS: Mapping[str, _Words] = {
    "missing": lambda _: "is missing",
    "too_short": lambda _: "is empty",
    "string_too_short": lambda _: "is empty",
    "string_too_long": lambda e: f"has {len(e['input'])} characters, {e['ctx']['max_length']} are allowed",
    "string_unicode": lambda _: "is not a text in UTF-8",
    "string_pattern_mismatch": lambda _: "is not 64 hexadecimal digits",
    "literal_error": lambda e: f"is {shown(e['input'])}, not {e['ctx']['expected']}",
    "greater_than_equal": lambda e: f"is {shown(e['input'])}, {e['ctx']['ge']} is the least",
    "less_than": lambda e: f"is {shown(e['input'])}, it has to be below {e['ctx']['lt']}",
}


def malformed(error: ErrorDetails) -> Rejected:
    """Return the rejection of a body for its first fault, as pydantic tells it."""
    place = error["loc"]
    if error["type"] == "too_long":  # a list; a text has a type of its own
        return too_large(str(place[-1]), error["ctx"]["actual_length"], error["ctx"]["max_length"])
    return Rejected(
        "message.malformed", _reason(error), "Send the fields as docs/events.md describes them for this type."
    )


def _reason(error: ErrorDetails) -> str:
    place, kind = error["loc"], error["type"]
    if kind == "value_error":  # said by one of our own checks of a whole body
        return error["msg"].removeprefix("Value error, ")
    if place and place[-1] == _EITHER:
        return f"{_where(place[:-1])} is {shown(error['input'])}, neither a whole number nor a text"
    if kind in _KINDS:
        value = "of another kind" if "producer" in place else shown(error["input"])
        return f"{_where(place)} is {value}, not {_KINDS[kind]}"
    return f"{_where(place)} {_FAULTS.get(kind, _otherwise)(error)}"


def _where(place: tuple[int | str, ...]) -> str:
    """Return the place of a value in the body: "x of box 3"."""
    match place:
        case ():
            return "the body"
        case (str(field),):
            return f"the list of {field}" if field in _SINGULAR else f"the {field}" if field == "name" else field
        case (*_, str(field), int(number)):
            return f"{_SINGULAR.get(field, field)} {number}"
        case (*rest, field):
            return f"{field} of {_where(tuple(rest))}"
        case _:
            return ".".join(map(str, place))


def _otherwise(error: ErrorDetails) -> str:
    words: Any = error["msg"]
    return f"is {shown(error['input'])}: {words}"
