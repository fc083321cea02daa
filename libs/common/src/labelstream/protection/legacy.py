"""The legacy protected form: IV (16 bytes) ‖ AES-256-CBC with PKCS7, key = SHA-256 of a key string.

It has no authentication: a changed file, or a wrong key, can pass unnoticed. Compare a digest after
opening. For readers that know nothing else; age is what we use ourselves.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.splitting import Parts

IV = 16
BLOCK_BITS = 128
SMALL_BYTES = 3 * 1024  # the small part is this long,
SMALL_PERCENT = 20  # or this share of the protected file, when that is less


def seal_legacy(plain: bytes, key: str, *, iv: bytes | None = None) -> bytes:
    """Protect `plain` in the legacy form; `iv` is fresh unless a known answer is being checked."""
    iv = os.urandom(IV) if iv is None else iv
    padder = PKCS7(BLOCK_BITS).padder()
    encryptor = cipher(derived(key), iv).encryptor()
    return iv + encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()


def open_legacy(protected: bytes, key: str) -> bytes:
    """Return what was protected. Raises Rejected when length or padding are wrong; see above what that misses."""
    if len(protected) < 2 * IV or len(protected) % IV:
        raise Rejected("legacy.truncated", f"{len(protected)} bytes are no whole legacy file", "Fetch it again")
    decryptor = cipher(derived(key), protected[:IV]).decryptor()
    unpadder = PKCS7(BLOCK_BITS).unpadder()
    padded = decryptor.update(protected[IV:]) + decryptor.finalize()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise Rejected(
            "legacy.wrong_key", "the key is wrong, or the end of the file is damaged", "Check both"
        ) from error


def split_legacy(protected: bytes) -> Parts:
    """Split a legacy file into its small part (3 KB or 20 %, the lesser) and its big part."""
    cut = min(SMALL_BYTES, len(protected) * SMALL_PERCENT // 100)
    return Parts(protected[:cut], protected[cut:])


def derived(key: str) -> bytes:
    """Return the AES-256 key that a key string stands for. Raises Misconfigured."""
    if not key:
        raise Misconfigured("the legacy form needs a key string; it has no default")
    return hashlib.sha256(key.encode()).digest()


def cipher(key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    """Return AES-256-CBC with a derived key."""
    return Cipher(algorithms.AES256(key), modes.CBC(iv))
