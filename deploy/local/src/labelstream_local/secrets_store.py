"""The secrets of a stack: generated once, one a file, readable by their owner alone."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyrage import x25519

from labelstream.protection.signing_keys import load_private_key, new_signing_key, public_pem
from labelstream_local.identities import IDENTITIES
from labelstream_local.layout import Layout
from labelstream_local.secret_files import write_private

BROKER_PASSWORD = "broker-password"  # noqa: S105  the name of a file
PRODUCER_HASH_KEY = "producer-hash-key"
SIGNING_KEY = "signing-key.pem"
VERIFYING_KEY = "signing-key.pub.pem"
VAULT_IDENTITY = "vault.age-identity"
JWT_KEY = "jwt-key.pem"
ADDRESS_HASH_KEY = "address-hash-key"
LEGACY_KEY = "legacy-key"
DEVICE = "inference"
DEVICE_IDENTITY = "inference.age-identity"
DEVICE_TOKEN = "inference.token"  # noqa: S105  the name of a file
DEVICES = "devices.json"


@dataclass(frozen=True)
class SecretStore:
    """The secret files of one stack."""

    directory: Path

    @classmethod
    def of(cls, layout: Layout) -> SecretStore:
        """Return the secrets of a stack, generating what is missing."""
        store = cls(layout.secrets)
        store._generate()
        return store

    def path(self, name: str) -> Path:
        """The file that holds a secret, for a `…_FILE` variable."""
        return self.directory / name

    def read(self, name: str) -> str:
        """The secret itself."""
        return self.path(name).read_text().strip()

    def store_key(self, identity: str) -> str:
        """The name of the secret with which an identity signs its requests to the object store."""
        return f"store-{identity}"

    def store_keys(self) -> dict[str, str]:
        """Every identity's secret key."""
        return {identity.name: self.read(self.store_key(identity.name)) for identity in IDENTITIES}

    def _generate(self) -> None:
        for identity in IDENTITIES:
            self._ensure(self.store_key(identity.name), _token)
        for name, make in (
            (BROKER_PASSWORD, _token),
            (PRODUCER_HASH_KEY, _token),
            (SIGNING_KEY, _signing_key),
            (VERIFYING_KEY, lambda: _verifying_key(self.path(SIGNING_KEY))),
            (VAULT_IDENTITY, lambda: str(x25519.Identity.generate())),
            (JWT_KEY, _jwt_key),
            (ADDRESS_HASH_KEY, _token),
            (LEGACY_KEY, _token),
            (DEVICE_IDENTITY, lambda: str(x25519.Identity.generate())),
            (DEVICE_TOKEN, _token),
            (DEVICES, self._devices),
        ):
            self._ensure(name, make)

    def _ensure(self, name: str, make: Callable[[], str]) -> None:
        if not self.path(name).exists():
            write_private(self.path(name), make() + "\n")

    def _devices(self) -> str:
        recipient = x25519.Identity.from_str(self.read(DEVICE_IDENTITY)).to_public()
        token_sha256 = hashlib.sha256(self.read(DEVICE_TOKEN).encode()).hexdigest()
        return json.dumps([{"name": DEVICE, "recipient": str(recipient), "token_sha256": token_sha256}])


def _token() -> str:
    return secrets.token_urlsafe(32)


def _signing_key() -> str:
    private, _ = new_signing_key()
    return private.decode().strip()


def _jwt_key() -> str:
    key = Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*pem).decode().strip()


def _verifying_key(signing_key: Path) -> str:
    return public_pem(load_private_key(signing_key).public_key()).decode().strip()
