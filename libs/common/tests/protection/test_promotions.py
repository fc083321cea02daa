from __future__ import annotations

import json

import pytest

from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.promotions import PromotionStatement, check_promotion, promote, sign_statement

STATEMENT = PromotionStatement(project="default", model="m1", number=7, manifest_sha256="a" * 64, signed_ms=1)


def test_a_signed_promotion_with_a_higher_number_is_accepted(key):
    signed = promote(STATEMENT, key.private)
    assert check_promotion(*signed, [key.public], project="default", above=6) == STATEMENT


@pytest.mark.parametrize("above", [7, 8])
def test_a_number_that_does_not_rise_is_refused(key, above: int):
    with pytest.raises(Rejected, match=r"promotion\.stale.*7 of m1"):
        check_promotion(*promote(STATEMENT, key.private), [key.public], project="default", above=above)


def test_a_promotion_of_another_project_is_refused(key):
    with pytest.raises(Rejected, match=r"promotion\.other_project"):
        check_promotion(*promote(STATEMENT, key.private), [key.public], project="other", above=0)


def test_a_changed_statement_is_refused(key):
    statement, signature = promote(STATEMENT, key.private)
    for place in range(len(statement)):
        changed = statement[:place] + chr(ord(statement[place]) ^ 1) + statement[place + 1 :]
        with pytest.raises(Rejected, match=r"promotion\.bad_signature"):
            check_promotion(changed, signature, [key.public], project="default", above=0)


@pytest.mark.parametrize("signature", ["", "no base64!", "é", "AAAA"])
def test_a_broken_signature_is_refused(key, signature: str):
    with pytest.raises(Rejected, match=r"promotion\.bad_signature"):
        check_promotion(STATEMENT.canonical().decode(), signature, [key.public], project="default", above=0)


def test_a_stranger_signs_nothing(key, make_key):
    with pytest.raises(Rejected, match=r"promotion\.bad_signature"):
        check_promotion(*promote(STATEMENT, make_key("stranger").private), [key.public], project="default", above=0)


def test_old_and_new_key_are_trusted_while_they_overlap(key, make_key):
    new = make_key("new")
    for signer in (key, new):
        signed = promote(STATEMENT, signer.private)
        assert check_promotion(*signed, [key.public, new.public], project="default", above=0) == STATEMENT


def test_what_is_signed_but_no_promotion_is_refused(key):
    for content in (b"{}", b"no json", json.dumps({**STATEMENT.model_dump(), "statement": "other/1"}).encode()):
        signature = sign_statement(content, key.private)
        with pytest.raises(Rejected, match=r"promotion\.malformed"):
            check_promotion(content.decode(), signature, [key.public], project="default", above=0)


def test_without_a_trusted_key_nothing_is_checked_silently(key):
    with pytest.raises(Misconfigured, match="no public key is trusted"):
        check_promotion(*promote(STATEMENT, key.private), [], project="default", above=0)
