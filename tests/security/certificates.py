"""Certificates that a test makes: an authority, and what it signs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"
_OF_A_CA = {"key_cert_sign": True, "crl_sign": True}


@dataclass(frozen=True)
class Shown:
    """What a server shows: its certificate, and the key to it."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return what a server of Python's speaks TLS with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True)
class Authority:
    """A CA. `file` is what those who believe it are told."""

    file: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def at(cls, file: Path) -> Authority:
        """Make one, and write its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"CA {file.stem}")
        builder = _builder(name, name, key, lasts_hours=2)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(**_OF_A_CA), critical=True)
            .sign(key, hashes.SHA256())
        )
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(file, certificate, key)

    def signs(self, folder: Path, host: str = HOST, *, lasts_hours: float = 2) -> Shown:
        """Write a certificate for `host` and its key; below 0 `lasts_hours` says how long ago it expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name("server"), self.certificate.subject, key, lasts_hours)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            builder.add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _written(folder, certificate, key)


def signing_itself(folder: Path) -> Shown:
    """Write a certificate that no authority signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name("server"), _name("server"), key, lasts_hours=2)
    names = x509.SubjectAlternativeName([_alternative(HOST)])
    return _written(folder, builder.add_extension(names, critical=False).sign(key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lasts_hours: float
) -> x509.CertificateBuilder:
    end = datetime.now(UTC) + timedelta(hours=lasts_hours)
    begin = min(datetime.now(UTC), end) - timedelta(hours=1)
    return x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), begin, end
    ).add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(**allowed: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{use: allowed.get(use, False) for use in every})


def _written(folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Shown:
    folder.mkdir()
    shown = Shown(folder / "cert.pem", folder / "key.pem")
    shown.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    shown.key.write_bytes(key.private_bytes(*form))
    return shown
