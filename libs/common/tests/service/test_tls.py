"""Which CA files count, and what a failed handshake means."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from labelstream.errors import Misconfigured
from labelstream.service.tls import perhaps_tls, trusting, trusting_at, why_not

SETTING = "LABELSTREAM_X__TLS_CA"


def test_a_ca_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"LABELSTREAM_X__TLS_CA=.*nowhere\.pem can't be read: No such file"):
        trusting(tmp_path / "nowhere.pem", SETTING)


def test_a_ca_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not PEM\n")
    with pytest.raises(Misconfigured, match=r"LABELSTREAM_X__TLS_CA=.*ca\.pem holds no certificate"):
        trusting(tmp_path / "ca.pem", SETTING)


@pytest.mark.parametrize("url", ["http://store:8333", "HTTP://store", "store:8333"])
def test_a_ca_beside_an_address_without_tls_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"LABELSTREAM_X__TLS_CA is set, but the address .* not https"):
        trusting_at(url, tmp_path / "ca.pem", SETTING)


def test_without_a_ca_the_address_may_be_any() -> None:
    assert trusting_at("http://store", None, SETTING) is None
    assert trusting_at("https://store", None, SETTING) is None


def test_an_error_that_has_nothing_to_do_with_tls_is_left_to_others() -> None:
    assert why_not(ConnectionResetError("reset"), "the store", SETTING) is None
    assert why_not(ssl.SSLEOFError(8, "EOF"), "the store", SETTING) is None


def _refused_by(code: int, words: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, words
    return error


@pytest.mark.parametrize(
    ("code", "words", "advice"),
    [
        (9, "certificate is not yet valid", "clocks is wrong"),
        (10, "certificate has expired", "renewed there, or this machine's clock"),
        (18, "self-signed certificate", f"{SETTING} must name a file with the certificate of the CA"),
        (20, "unable to get local issuer certificate", f"{SETTING} must name a file"),
        (62, "Hostname mismatch", "connect to a name that stands in it"),
        (64, "IP address mismatch", "connect to a name that stands in it"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said_with_what_to_do(code: int, words: str, advice: str) -> None:
    try:
        try:
            raise _refused_by(code, words)
        except ssl.SSLError as error:
            raise OSError("the library's own") from error
    except OSError as error:
        said = why_not(error, "the store", SETTING)
    assert said is not None
    assert said.startswith(f"the certificate of the store is not believed ({words}): ")
    assert advice in said


def test_an_answer_that_is_no_tls_is_said_to_be_none() -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ours = context.wrap_bio(incoming, outgoing, server_hostname="store")
    with pytest.raises(ssl.SSLWantReadError):
        ours.do_handshake()
    incoming.write(b"AMQP\x00\x00\x09\x01")
    error = _raised(ours.do_handshake)
    said = why_not(error, "the broker", SETTING)
    assert said is not None
    assert said.startswith("the broker does not speak TLS there")
    assert SETTING in said


def _raised(call: Callable[[], object]) -> BaseException:
    with pytest.raises(ssl.SSLError) as caught:
        call()
    return caught.value


def test_who_hung_up_may_have_wanted_the_other_way_of_speaking() -> None:
    assert "if that port speaks TLS" in perhaps_tls(SETTING, spoken=False)
    assert "if that port does not speak TLS" in perhaps_tls(SETTING, spoken=True)
