"""Reading a YAML file into a model, with errors that name the file, the line and the field."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from labelstream.errors import Misconfigured

M = TypeVar("M", bound=BaseModel)
Location = tuple[int | str, ...]


class FaultAt(ValueError):
    """What a model's validator says of a place further down in the model."""

    def __init__(self, location: Location, reason: str) -> None:
        """Find fault with what `location` leads to."""
        super().__init__(reason)
        self.location = location


@dataclass(frozen=True)
class Source:
    """A YAML file: what it says, and where."""

    file: str
    root: yaml.Node
    data: dict[str, Any]

    def line(self, location: Location) -> int:
        """Return the line of the deepest thing that `location` leads to."""
        return _line(self.root, location)


def read_yaml(text: str, file: str, expected: str) -> Source:
    """Read a mapping; `expected` says what it should be. Raises Misconfigured, also for a key that stands twice."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Misconfigured(f"{file}:{line}: this is not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no text, no date, a thousand brackets
        raise Misconfigured(f"{file}:1: this is not YAML: {error}") from error
    if root is None or not isinstance(data, dict):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise Misconfigured(f"{file}:1: {expected}; here is {found}")
    if twice := [f"{file}:{line}: {key}: stands twice in the same mapping" for line, key in _repeated(root, set())]:
        raise Misconfigured("\n".join(twice))
    return Source(file, root, data)


def validated(model: type[M], source: Source, fields_at: Callable[[Location], Sequence[str]]) -> M:
    """Return what the file says as a model; `fields_at` names the fields that may stand beside a location.

    Raises Misconfigured with one line for each fault.
    """
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        faults = [_fault(source, one, fields_at) for one in error.errors()]
        raise Misconfigured("\n".join(dict.fromkeys(faults))) from error


def _fault(source: Source, error: ErrorDetails, fields_at: Callable[[Location], Sequence[str]]) -> str:
    raised = error.get("ctx", {}).get("error")
    location = (*error["loc"], *(raised.location if isinstance(raised, FaultAt) else ()))
    where = ".".join(map(str, location))
    return f"{source.file}:{source.line(location)}: {where}{': ' if where else ''}{_said(error, fields_at)}"


def _said(error: ErrorDetails, fields_at: Callable[[Location], Sequence[str]]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing" if isinstance(error["loc"][-1], str) else "is missing: a range is [least, most]"
        case "extra_forbidden":
            return _unknown(str(error["loc"][-1]), fields_at(error["loc"]))
        case "union_tag_not_found":
            return "a transform is a mapping that says its kind, such as {kind: flip, p: 0.5}"
        case "union_tag_invalid":
            kinds = str(context["expected_tags"]).replace("'", "")
            return f"there is no kind {context['tag']!r}; there are {kinds}"
        case "value_error":
            return str(context["error"])
        case "tuple_type":
            return f"must be a list, not {_shown(error['input'])}"
        case "model_type" | "model_attributes_type":
            return f"must be a mapping, not {_shown(error['input'])}"
        case _:
            said = error["msg"].replace("Input should be", "must be").replace("Tuple should have", "must have")
            return f"{said}, not {_shown(error['input'])}"


def _unknown(key: str, fields: Sequence[str]) -> str:
    like = difflib.get_close_matches(key, fields, 1)
    return f"there is no such field; {f'did you mean {like[0]}? ' if like else ''}There are {', '.join(fields)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _repeated(node: yaml.Node, seen: set[int]) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each key that stands twice; `seen` are nodes that were looked at, for aliases."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _repeated(one, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    yield key.start_mark.line + 1, key.value
                keys.add(key.value)
            yield from _repeated(value, seen)


def _line(node: yaml.Node, location: Location) -> int:
    line = int(node.start_mark.line) + 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == step), None)
            if found is None:
                continue  # a missing key, or pydantic's name of the chosen kind
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
