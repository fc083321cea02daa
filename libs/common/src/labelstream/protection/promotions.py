"""Promotions: signed, numbered statements that a model serves from now on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import Field, ValidationError

from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.signing_keys import load_private_key, load_public_key
from labelstream.values import Sha256, Value, canonical_json

_ALGORITHM = ec.ECDSA(hashes.SHA256())


class PromotionStatement(Value):
    """What is signed: this model of this project serves, and which promotion this is."""

    statement: Literal["labelstream-promotion/1"] = "labelstream-promotion/1"
    project: str
    model: str
    number: int = Field(ge=1, description="rises with each promotion of the project")
    manifest_sha256: Sha256
    signed_ms: int

    def canonical(self) -> bytes:
        """Return the bytes that are signed."""
        return canonical_json(self.model_dump(mode="json"))


class SignedPromotion(NamedTuple):
    """A statement and its signature, as an event carries them."""

    statement: str  # the canonical JSON
    signature: str  # base64


def promote(statement: PromotionStatement, private_key: Path) -> SignedPromotion:
    """Sign a promotion."""
    content = statement.canonical()
    return SignedPromotion(content.decode(), sign_statement(content, private_key))


def check_promotion(
    statement: str, signature: str, public_keys: Sequence[Path], *, project: str, above: int
) -> PromotionStatement:
    """Return what was promoted, when it is signed, for `project`, and its number is higher than `above`.

    Raises Rejected: promotion.bad_signature, promotion.malformed, promotion.other_project, promotion.stale.
    """
    verify_statement(statement.encode(), signature, public_keys)
    try:
        promotion = PromotionStatement.model_validate_json(statement)
    except ValidationError as error:
        raise Rejected(
            "promotion.malformed", f"the statement is not a promotion: {error}", "Update this app"
        ) from error
    if promotion.project != project:
        raise Rejected(
            "promotion.other_project",
            f"the promotion is for {promotion.project}, not for {project}",
            "Promote the model in its own project",
        )
    if promotion.number <= above:
        raise Rejected(
            "promotion.stale",
            f"promotion {promotion.number} of {promotion.model} is not above {above}",
            "To go back to an older model, promote it again under a new number",
        )
    return promotion


def sign_statement(statement: bytes, private_key: Path) -> str:
    """Return the ECDSA P-256 SHA-256 signature of `statement`, base64."""
    return base64.b64encode(load_private_key(private_key).sign(statement, _ALGORITHM)).decode()


def verify_statement(statement: bytes, signature: str, public_keys: Sequence[Path]) -> None:
    """Raise Rejected (promotion.bad_signature) when none of `public_keys` signed `statement`."""
    if not public_keys:
        raise Misconfigured("no public key is trusted, so no promotion can be: name at least one")
    keys = [load_public_key(path) for path in public_keys]
    if not any(_signed_by(key, statement, signature) for key in keys):
        raise Rejected(
            "promotion.bad_signature",
            "the statement was changed, or signed with a key that is not trusted",
            "Add that public key to the trusted ones, if it is yours",
        )


def _signed_by(key: ec.EllipticCurvePublicKey, statement: bytes, signature: str) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), statement, _ALGORITHM)
    except (InvalidSignature, binascii.Error, ValueError):  # ValueError: letters that are not ASCII
        return False
    return True
