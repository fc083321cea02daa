"""The pages that are made from code say what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgpack
import pytest

from labelstream.events.document import events_page
from labelstream.events.tables import type_name
from labelstream.wire.bodies import BODIES, KINDS
from labelstream.wire.document import azaion_example, examples
from labelstream.wire.reading import read_submission
from labelstream.wire.schema import message_schema, schema_text

DOCS = Path(__file__).parents[2] / "docs"


def test_the_catalogue_of_events_is_the_one_in_the_code():
    assert (DOCS / "events.md").read_text() == events_page(), "run `make docs`"


def test_the_schema_of_annotation_messages_is_the_one_in_the_code():
    assert (DOCS / "annotation-message.schema.json").read_text() == schema_text(), "run `make docs`"


def test_every_native_message_stands_on_the_page_with_its_fields():
    page = events_page().partition("## Annotation messages")[2]
    for name, body in BODIES.items():
        assert f"### `{name}`" in page
        assert all(f"| `{field}` |" in page for field in body.model_fields)


def test_no_type_on_the_page_is_spelled_with_its_module():
    types = re.findall(r"^\| `[^|]+` \| ([^|]+) \|", events_page(), re.MULTILINE)
    assert len(types) > 150
    assert [one for one in types if re.search(r"[a-z]\.[a-zA-Z]|Annotated|Literal|None", one)] == []


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (tuple[int, ...], "tuple[int, ...]"),
        (dict[str, float] | None, "dict[str, float]"),
        (int | str | None, "int or str"),
    ],
    ids=str,
)
def test_a_type_is_named_as_any_language_has_it(annotation: object, name: str):
    assert type_name(annotation) == name


@pytest.mark.parametrize("name", list(KINDS))
def test_each_example_on_the_page_is_a_message_that_is_read(name: str):
    message = examples()[name]
    assert message.subject == name
    assert read_submission(message).kind == KINDS[name]
    assert set(msgpack.unpackb(message.body)) <= {
        field.alias or key for key, field in BODIES[name].model_fields.items()
    }


def test_the_example_of_the_azaion_wire_is_a_message_that_is_read():
    read = read_submission(azaion_example())
    assert (read.kind, read.wire, read.names, read.validated) == ("created", "azaion", ("film-17/000120",), True)
    assert [(box.cls, box.w, box.confidence) for box in read.boxes] == [(3, 0.2, 0.87)]
    assert "AnnotationName" in events_page().partition("### The Azaion wire")[2]


def test_a_field_says_what_it_is_when_it_is_left_out():
    page = events_page().partition("## Annotation messages")[2]
    assert re.search(r"\| `validated` \| bool \| .*\(optional; default: true\) \|", page)
    assert re.search(r"\| `medium` \| str \| .*\(optional\) \|", page)


def test_the_page_leads_to_the_list_of_rules():
    (link, heading) = re.search(r"\[the list of rules\]\((.*)#(.*)\)", events_page()).groups()
    assert f"\n## {heading.title()}\n" in (DOCS / link).read_text()


def test_the_schema_refers_to_nothing_that_is_not_in_it():
    schema = message_schema()
    places = set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(schema)))
    assert places == set(schema["$defs"])
    assert [one["properties"]["type"]["const"] for one in schema["oneOf"]] == list(KINDS)
    box = schema["$defs"]["NativeBox"]
    assert set(box["required"]) == {"class", "x", "y", "w", "h"}
    assert schema["$defs"]["NativeAnnotation"]["not"] == {"required": ["image", "image_ref"]}
