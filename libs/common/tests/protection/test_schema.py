"""The manifest's JSON Schema is kept in docs, and says what a real manifest is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from labelstream.bundle import MANIFEST
from labelstream.protection.schema import manifest_schema, schema_text

DOCS = Path(__file__).parents[4] / "docs"


@pytest.fixture
def manifest(write) -> dict[str, object]:
    return json.loads((write().directory / MANIFEST).read_text())


def test_the_schema_in_docs_is_up_to_date():
    assert (DOCS / "bundle.schema.json").read_text(encoding="utf-8") == schema_text(), "run `make docs`"


def test_a_manifest_is_valid_and_one_without_proof_of_its_files_is_not(manifest):
    validator = Draft202012Validator(manifest_schema())
    validator.check_schema(manifest_schema())
    assert list(validator.iter_errors(manifest)) == []
    for broken in (
        {key: value for key, value in manifest.items() if key != "recipient"},
        {**manifest, "artifacts": []},
        {**manifest, "bundle": "labelstream/2"},
        {**manifest, "files": {"../x": "0" * 64}},
        {**manifest, "files": {"report.html": "no digest"}},
        {**manifest, "golden": {**manifest["golden"], "file": "../golden.age"}},
    ):
        assert list(validator.iter_errors(broken)), broken


def test_fields_of_a_newer_version_are_allowed(manifest):
    assert list(Draft202012Validator(manifest_schema()).iter_errors({**manifest, "later": 1})) == []
