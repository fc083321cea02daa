"""The OpenAPI document: complete, the one in docs/, and what a replica keeps to. `FUZZ=<cases>` asks it at length."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import hypothesis
import jsonschema
import pytest
import schemathesis
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from inference.answering.answers import Prediction
from inference.answering.document import api_document
from labelstream.service.http import serve_http, take_port

DOCS = Path(__file__).parents[4] / "docs"
FUZZ = int(os.environ.get("FUZZ", "0"))
EXAMPLES = FUZZ // 10 or 5  # of each operation, allowed and not

pytestmark = pytest.mark.timeout(7200 if FUZZ else 300)


@pytest.fixture(scope="module")
def document():
    return json.loads(api_document())


def test_the_document_in_docs_is_the_one_of_the_code() -> None:
    assert (DOCS / "api-inference.json").read_text() == api_document(), "run `make docs`"


def test_every_operation_has_words_and_problems(document) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"]
            assert operation["description"], path
            problems = {code: said for code, said in operation["responses"].items() if code >= "400"}
            assert {"401", "422", "429", "503"} <= set(problems), path
            for code, said in problems.items():
                assert list(said["content"]) == ["application/problem+json"], (path, code)


def test_examples_are_what_they_are_examples_of(document) -> None:
    shapes = document["components"]["schemas"]
    examples = {name: shape["example"] for name, shape in shapes.items() if "example" in shape}
    assert {"Prediction", "ModelsAnswer", "SchemaAnswer", "Problem"} <= set(examples)
    for name, example in examples.items():
        jsonschema.validate(example, {"$ref": f"#/components/schemas/{name}", "components": document["components"]})


async def test_an_answer_is_exactly_what_the_contract_says(world, red_picture) -> None:
    await world.promote("m1", 1)
    async with world.replica() as client:
        await world.heard()
        told = (await client.post("/v1/predict", content=red_picture)).json()
        assert told["detections"]
        assert Prediction.model_validate(told, strict=True).model_dump(by_alias=True) == told
        for path in ("/v1/models", "/v1/schema"):
            assert (await client.get(path)).status_code == 200


async def test_whatever_the_contract_allows_is_answered_as_it_says(world) -> None:
    await world.promote("m1", 1)
    async with world.replica() as inside:
        await world.heard()
        taken = take_port("127.0.0.1", 0)
        port = taken.getsockname()[1]
        serving = asyncio.create_task(serve_http(inside._transport.app, "127.0.0.1", port, taken))
        try:
            await asyncio.to_thread(ask_everything, f"http://127.0.0.1:{port}", json.loads(api_document()))
        finally:
            serving.cancel()
            await asyncio.wait([serving])


def ask_everything(address: str, document: dict) -> None:
    """Ask each operation with what its schema allows, and with what it does not."""
    load_all_checks()
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    schema.config.update(base_url=address)
    asked: dict[str, int] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        ask(operation, schemathesis.GenerationMode.POSITIVE, asked)
        if operation.body or operation.query:  # else there is nothing to do wrong
            ask(operation, schemathesis.GenerationMode.NEGATIVE, asked)
    assert set(asked) == {f"{method.upper()} {path}" for path, each in document["paths"].items() for method in each}


def ask(operation, mode, asked: dict[str, int]) -> None:
    """Ask one operation."""

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=not FUZZ,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def one(case) -> None:
        answer = case.call(timeout=30)
        asked[operation.label] = asked.get(operation.label, 0) + 1
        assert answer.status_code < 500 or answer.json()["rule"].startswith("deadline."), answer.text
        case.validate_response(
            answer,
            checks=[
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_schema_conformance,
                checks.response_headers_conformance,
            ],
        )

    one()
