"""Whom we believe over TLS, and what it means when a connection over it does not come about."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from labelstream.errors import Misconfigured

# The settings that name a CA file, as a person writes them.
BROKER_CA, STORE_CA = "LABELSTREAM_BROKER__TLS_CA", "LABELSTREAM_STORE__TLS_CA"

# What OpenSSL finds wrong with a certificate, by its numbers (X509_V_ERR_…); all others are about who signed it.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME, _OTHER_ADDRESS = 62, 64
_ADVICE = {
    _NOT_YET_VALID: "one of the two machines' clocks is wrong",
    _EXPIRED: "it must be renewed there, or this machine's clock is wrong",
    _OTHER_NAME: "connect to a name that stands in it, or have one made for this name",
    _OTHER_ADDRESS: "connect to a name that stands in it, or have one made for this name",
}
# What OpenSSL says of an answer that is no TLS; the name depends on its version and on the bytes.
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}


def trusting(ca: Path, setting: str) -> ssl.SSLContext:
    """Return a context that believes the authorities in the file `ca` alone. Raises Misconfigured."""
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise Misconfigured(f"{setting}={ca} holds no certificate: it must be that of the CA, as PEM") from error
    except OSError as error:
        raise Misconfigured(f"{setting}={ca} can't be read: {error.strerror}") from error


def trusting_at(url: str, ca: Path | None, setting: str) -> ssl.SSLContext | None:
    """Return whom to believe at an address; None: the authorities that this machine knows.

    Raises Misconfigured, also for a CA beside an address that is not https: nobody would ask for a certificate.
    """
    if ca is None:
        return None
    if not url.lower().startswith("https://"):
        raise Misconfigured(f"{setting} is set, but the address that it is for is not https: write https:// there")
    return trusting(ca, setting)


def why_not(
    error: BaseException, where: str, setting: str, misnamed: tuple[type[BaseException], ...] = ()
) -> str | None:
    """Return why TLS with `where` did not come about and what to do; None when that is not what went wrong.

    `setting` is the one that names the CA file; `misnamed` is what a library raises that compares names by itself.
    """
    for cause in _causes(error):
        if isinstance(cause, misnamed):
            return _not_believed(where, str(cause), _OTHER_NAME, setting)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _not_believed(where, cause.verify_message.rstrip("."), cause.verify_code, setting)
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in _NO_TLS:
            return f"{where} does not speak TLS there: name its TLS port, or leave out TLS and {setting}"
    return None


def perhaps_tls(setting: str, *, spoken: bool) -> str:
    """Return what may be wrong when the other end hangs up, or keeps still, as soon as we greet it."""
    if spoken:
        return f"if that port does not speak TLS, name the one that does, or leave out {setting}"
    return f"if that port speaks TLS, {setting} must name the file of its CA"


def _not_believed(where: str, said: str, code: int, setting: str) -> str:
    advice = _ADVICE.get(code, f"{setting} must name a file with the certificate of the CA that signed it")
    return f"the certificate of {where} is not believed ({said}): {advice}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
