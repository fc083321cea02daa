"""The tokens of a login: which count, and which do not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from exporter.delivery.tokens import BadToken, TokenKeys, Tokens
from labelstream.errors import Misconfigured

from .world import new_jwt_key


def tokens(*paths: Path, issuer: str = "labelstream", audience: str = "api") -> Tokens:
    return Tokens(TokenKeys.read(paths), issuer, audience, 900)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_jwt_key(tmp_path / "key.pem")


def forged(ours: Tokens, algorithm: str, key: object, **changes: object) -> str:
    now = int(time.time())
    claims = {"iss": "labelstream", "aud": "api", "sub": "ada", "iat": now, "exp": now + 900, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, {"kid": ours.keys.signing_id})


def test_a_token_is_read_back(key):
    claims = tokens(key).read(tokens(key).issue("ada", email="Ada@example.org"))
    assert (claims.user, claims.email) == ("ada", "Ada@example.org")
    assert tokens(key).read(tokens(key).issue("ada")).email is None


def test_a_token_without_a_signature_does_not_count(key):
    with pytest.raises(BadToken):
        tokens(key).read(forged(tokens(key), "none", None))


def test_a_token_signed_with_the_public_key_as_a_password_does_not_count(key):
    ours = tokens(key)
    public = ours.keys.verifying[ours.keys.signing_id]
    head, body, _ = forged(ours, "HS256", "a placeholder that is long enough").split(".")
    for secret in (public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), public.public_bytes_raw()):
        mac = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        token = f"{head}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
        with pytest.raises(BadToken):
            ours.read(token)


def test_an_expired_token_does_not_count(key):
    with pytest.raises(BadToken, match="expired"):
        tokens(key).read(tokens(key).issue("ada", now_s=time.time() - 1000))


def test_a_token_of_another_key_does_not_count(key, tmp_path):
    stranger = tokens(new_jwt_key(tmp_path / "stranger.pem"))
    with pytest.raises(BadToken, match="not signed by a key"):
        tokens(key).read(stranger.issue("ada"))


def test_a_token_of_another_key_under_our_key_id_does_not_count(key, tmp_path):
    stranger = load_pem_private_key(new_jwt_key(tmp_path / "stranger.pem").read_bytes(), None)
    with pytest.raises(BadToken):
        tokens(key).read(forged(tokens(key), "EdDSA", stranger))


@pytest.mark.parametrize(
    "changes",
    [{"iss": "another"}, {"aud": "another"}, {"exp": None}, {"iat": None}, {"sub": None}, {"aud": None}, {"iss": None}],
    ids=lambda changes: " ".join(f"{name} {value}" for name, value in changes.items()),
)
def test_a_token_of_another_service_or_without_what_must_be_there_does_not_count(key, changes):
    private = load_pem_private_key(key.read_bytes(), None)
    with pytest.raises(BadToken):
        tokens(key).read(forged(tokens(key), "EdDSA", private, **changes))


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "e30.e30.", "eyJhbGciOiJFZERTQSJ9..", "é.é.é"])
def test_what_is_no_token_does_not_count(key, token):
    with pytest.raises(BadToken):
        tokens(key).read(token)


def test_keys_are_exchanged_without_a_gap(tmp_path):
    old, new = new_jwt_key(tmp_path / "old.pem"), new_jwt_key(tmp_path / "new.pem")
    before = tokens(old).issue("ada")
    both = tokens(new, old)
    assert both.read(before).user == "ada"
    after = both.issue("ada")
    assert tokens(new).read(after).user == "ada"
    with pytest.raises(BadToken):
        tokens(new).read(before)


def test_an_old_key_may_be_its_public_part(tmp_path):
    old, new = new_jwt_key(tmp_path / "old.pem"), new_jwt_key(tmp_path / "new.pem")
    before = tokens(old).issue("ada")
    public = load_pem_private_key(old.read_bytes(), None).public_key()
    old.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert tokens(new, old).read(before).user == "ada"
    with pytest.raises(Misconfigured, match="first of JWT_KEYS must be a private"):
        tokens(old, new)


def test_another_kind_of_key_is_refused_and_not_quoted(tmp_path):
    path = tmp_path / "p256.pem"
    path.write_bytes(generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(Misconfigured, match="no Ed25519 key"):
        tokens(path)
    path.write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    with pytest.raises(Misconfigured, match="no key in PEM form") as refused:
        tokens(path)
    assert "secret" not in str(refused.value)
    with pytest.raises(Misconfigured, match="can't be read"):
        tokens(tmp_path / "none.pem")
