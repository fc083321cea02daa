"""Signing keys: ECDSA on P-256, as PEM files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from labelstream.errors import Misconfigured

_PRIVATE = b"PRIVATE KEY-----"  # ends the first line of every form of it


def new_signing_key() -> tuple[bytes, bytes]:
    """Make a key pair; return the private and the public key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, public_pem(key.public_key())


def load_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a private signing key. Raises Misconfigured."""
    content = _read("signing key", path)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it needs a password
        raise Misconfigured(f"the signing key {path} holds no private key in PEM form without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Misconfigured(f"the signing key {path} is not an ECDSA key on P-256")
    return key


def load_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """Read a public signing key. Raises Misconfigured."""
    content = _read("trusted key", path)
    if _PRIVATE in content:
        raise Misconfigured(f"the trusted key {path} is a private key: keep it away, and give the public one")
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Misconfigured(f"the trusted key {path} holds no public key in PEM form") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Misconfigured(f"the trusted key {path} is not an ECDSA key on P-256")
    return key


def _read(what: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"the {what} {path} can't be read: {error.strerror}") from error


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of a public key's PEM: how an OpenSSF signature names its key."""
    return hashlib.sha256(public_pem(key)).hexdigest()
