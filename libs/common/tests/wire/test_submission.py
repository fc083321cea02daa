from __future__ import annotations

from dataclasses import replace

from labelstream.wire import native
from labelstream.wire.azaion_writer import AzaionWriter
from labelstream.wire.reading import read_submission
from labelstream.wire.submission import producer_hash, shown

from .reading import azaion_message
from .samples import DETECTION


def test_two_deliveries_share_a_key_and_two_requests_do_not() -> None:
    first, second = (
        native.write_bulk("validated", ["a"], message_id="1"),
        native.write_bulk("validated", ["a"], message_id="2"),
    )
    assert read_submission(first).message_key == read_submission(first).message_key
    assert read_submission(first).message_key != read_submission(second).message_key


def test_a_dated_azaion_body_is_the_same_message_whatever_id_its_outbox_gives_it() -> None:
    message = AzaionWriter().created("n", b"pixels", [DETECTION])
    again = replace(message, message_id="another attempt")
    assert read_submission(message).message_key == read_submission(again).message_key


def test_the_same_names_validated_and_deleted_are_two_messages() -> None:
    bodies = {read_submission(azaion_message([["a"]], status)).message_key for status in (30, 40)}
    assert len(bodies) == 2


def test_a_producer_is_a_keyed_hash() -> None:
    first = producer_hash("Someone@Example.org", b"key")
    assert first == producer_hash(" someone@example.org ", b"key")
    assert first != producer_hash("someone@example.org", b"another key")
    assert first is not None
    assert "someone" not in first
    assert producer_hash(None, b"key") is None
    assert producer_hash("  ", b"key") is None


def test_a_reason_shows_values_short_and_no_email() -> None:
    assert "example" not in shown("someone@example.org")
    assert len(shown("x" * 1000)) < 100
    assert shown(b"12345") == "5 bytes"
    assert shown(0.5) == "0.5"
