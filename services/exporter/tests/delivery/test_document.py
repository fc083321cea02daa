"""The OpenAPI document: complete, and the one in docs/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.delivery.document import api_document

DOCS = Path(__file__).parents[4] / "docs"


@pytest.fixture(scope="module")
def paths():
    return json.loads(api_document())["paths"]


def test_the_document_is_the_one_in_the_code():
    assert (DOCS / "api-exporter.json").read_text() == api_document(), "run `make docs`"


def test_every_route_tells_its_problems_and_what_to_do(paths):
    for path, methods in paths.items():
        for operation in methods.values():
            problems = [code for code in operation["responses"] if code >= "400"]
            assert {"429", "503"} <= set(problems), path
            assert operation["description"], path
            for code in problems:
                assert "application/problem+json" in operation["responses"][code]["content"], (path, code)


def test_what_is_sent_has_an_example(paths):
    bodies = [
        operation["requestBody"]["content"]
        for methods in paths.values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    assert len(bodies) == 4
    assert all("application/json" in body or "multipart/form-data" in body for body in bodies)
