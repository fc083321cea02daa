"""Finds e-mail addresses in texts that our own streams would keep for ever."""

from __future__ import annotations

import re
import unicodedata

# A file's ending is no top-level domain: video@2x.jpg is a name, someone@example.org.jpg holds an address.
_ENDINGS = (
    "jpe?g|jfif|png|webp|tiff?|bmp|gif|avif|hei[cf]|svg|raw|dng|"
    "avi|mov|mkv|webm|mpe?g|ts|wmv|txt|json|xml|csv|zip|tar|gz"
)
_ADDRESS = re.compile(
    r"[^\s@/\\]@"  # somebody, at
    r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+"  # hosts and domains
    rf"(?!(?:{_ENDINGS})(?![^\W_]))"
    r"(?:xn--[a-z0-9-]+|[^\W\d_]{2,63})(?![^\W_])",  # a top-level domain
    re.IGNORECASE,
)
_MARKS = ("@", "%40")


def is_personal(text: str) -> bool:
    """Say whether an e-mail address stands in `text`, in any script, also percent-encoded."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if not any(mark in plain for mark in _MARKS):
        return False
    return _ADDRESS.search(plain.replace("%40", "@")) is not None


def impersonal(text: str) -> str | None:
    """Return `text` as it is, or None when an e-mail address stands in it. Ask before cutting a text short."""
    return None if is_personal(text) else text
