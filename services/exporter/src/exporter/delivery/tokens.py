"""The tokens that a login gives: JWTs signed with Ed25519, short-lived, and for this API alone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from labelstream.errors import Misconfigured

ALGORITHM = "EdDSA"
LEEWAY_S = 5  # clocks of replicas differ
_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]


class BadToken(Exception):
    """This is no token of ours, or no longer: the text says why, and quotes nothing of it."""


@dataclass(frozen=True)
class Claims:
    """What a token says."""

    user: str
    since_ms: int  # when the record was written that it was given for: another password or right ends it
    email: str | None = None  # as it was typed; only in tokens of the documented login, whose files are made from it


@dataclass(frozen=True)
class TokenKeys:
    """The key that signs, and all that verify, by their ids."""

    signing_id: str
    signing: Ed25519PrivateKey
    verifying: dict[str, Ed25519PublicKey]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> TokenKeys:
        """Read PEM files: the first is a private key, the others private or public ones. Raises Misconfigured."""
        keys = [_read(path) for path in paths]
        signing = keys[0] if keys else None
        if not isinstance(signing, Ed25519PrivateKey):
            raise Misconfigured(
                "the first of JWT_KEYS must be a private Ed25519 key: `openssl genpkey -algorithm ed25519`"
            )
        public = [key.public_key() if isinstance(key, Ed25519PrivateKey) else key for key in keys]
        return cls(key_id(public[0]), signing, {key_id(key): key for key in public})


@dataclass(frozen=True)
class Tokens:
    """Makes tokens and reads them back."""

    keys: TokenKeys
    issuer: str
    audience: str
    lasting_s: float

    def issue(self, user: str, *, since_ms: int = 0, email: str | None = None, now_s: float | None = None) -> str:
        """Return a token for a person, whose record was written at `since_ms`."""
        now = int(time.time() if now_s is None else now_s)
        claims = {"iss": self.issuer, "aud": self.audience, "sub": user, "iat": now, "exp": now + int(self.lasting_s)}
        claims["since"] = since_ms
        if email is not None:
            claims["email"] = email
        return jwt.encode(claims, self.keys.signing, ALGORITHM, {"kid": self.keys.signing_id})

    def read(self, token: str) -> Claims:
        """Return what a token says. Raises BadToken."""
        try:
            key = self.keys.verifying.get(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise BadToken("it was not signed by a key of this API")
            claims = jwt.decode(
                token,
                key,
                [ALGORITHM],
                {"require": _REQUIRED},
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_S,
            )
        except jwt.ExpiredSignatureError:
            raise BadToken("it has expired") from None
        except jwt.PyJWTError:
            raise BadToken("it is not a valid token of this API") from None
        email = claims.get("email")
        return Claims(str(claims["sub"]), int(claims.get("since", 0)), None if email is None else str(email))


def key_id(key: Ed25519PublicKey) -> str:
    """Return a key's fingerprint."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def _read(path: Path) -> Ed25519PrivateKey | Ed25519PublicKey:
    try:
        text = path.read_bytes()
        key = load_pem_private_key(text, None) if b"PRIVATE" in text else load_pem_public_key(text)
    except OSError as error:
        raise Misconfigured(f"JWT_KEYS: {path} can't be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Misconfigured(f"JWT_KEYS: {path} is no key in PEM form without a password") from None
    if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        raise Misconfigured(f"JWT_KEYS: {path} is no Ed25519 key: `openssl genpkey -algorithm ed25519`")
    return key
