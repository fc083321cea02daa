from __future__ import annotations

import json
from dataclasses import replace

import pytest

from .samples import GOLDEN, described, golden_messages

MESSAGES = golden_messages()


def test_every_message_has_its_golden_files_and_no_other_lies_there() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{n}.{e}" for n in MESSAGES for e in ("json", "msgpack")}


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_message_is_written_byte_for_byte_as_ever(name: str) -> None:
    assert MESSAGES[name].body == (GOLDEN / f"{name}.msgpack").read_bytes()


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_message_is_read_as_ever(name: str) -> None:
    """A changed file means that old messages would be read differently."""
    kept = replace(MESSAGES[name], body=(GOLDEN / f"{name}.msgpack").read_bytes())
    assert described(kept) == json.loads((GOLDEN / f"{name}.json").read_text())
