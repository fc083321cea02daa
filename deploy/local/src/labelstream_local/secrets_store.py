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
from labelstream_local.layout import Layout
from labelstream_local.process import StartFailed
from labelstream_local.rights import IDENTITIES, USERS
from labelstream_local.secret_files import write_private

FORMER_USER = "labelstream"  # of the broker, before each program had a user of its own; and the file of its password
FORMER_BROKER_PASSWORD = "broker-password"  # noqa: S105  the name of a file
PRODUCER_HASH_KEY = "producer-hash-key"
SIGNING_KEY = "signing-key.pem"
VERIFYING_KEY = "signing-key.pub.pem"
VAULT_IDENTITY = "vault.age-identity"
JWT_KEY = "jwt-key.pem"
ADDRESS_HASH_KEY = "address-hash-key"
LEGACY_KEY = "legacy-key"
MLFLOW_PASSWORD = "mlflow-admin-password"  # noqa: S105  the name of a file
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
        store.generate()
        return store

    def path(self, name: str) -> Path:
        """The file that holds a secret, for a `…_FILE` variable."""
        return self.directory / name

    def read(self, name: str) -> str:
        """The secret itself."""
        return self.path(name).read_text().strip()

    def broker_key(self, user: str) -> str:
        """The name of the secret with which a user logs in to the broker."""
        return f"broker-{user}"

    def store_key(self, identity: str) -> str:
        """The name of the secret with which an identity signs its requests to the object store."""
        return f"store-{identity}"

    def broker_passwords(self) -> dict[str, str]:
        """Every user's password."""
        return {user: self.read(self.broker_key(user)) for user in USERS}

    def former_users(self) -> tuple[str, ...]:
        """The broker's users that a stack had which came up in earlier times."""
        return (FORMER_USER,) if self.path(FORMER_BROKER_PASSWORD).exists() else ()

    def store_keys(self) -> dict[str, str]:
        """Every identity's secret key."""
        return {identity.name: self.read(self.store_key(identity.name)) for identity in IDENTITIES}

    def generate(self) -> tuple[str, ...]:
        """Generate what is missing; return its names. Raises StartFailed for an empty file."""
        makers: list[tuple[str, Callable[[], str]]] = [
            *((self.broker_key(user), new_token) for user in USERS),
            *((self.store_key(identity.name), new_token) for identity in IDENTITIES),
            (PRODUCER_HASH_KEY, new_token),
            (SIGNING_KEY, _signing_key),
            (VERIFYING_KEY, lambda: _verifying_key(self.path(SIGNING_KEY))),
            (VAULT_IDENTITY, lambda: str(x25519.Identity.generate())),
            (JWT_KEY, _jwt_key),
            (ADDRESS_HASH_KEY, new_token),
            (LEGACY_KEY, new_token),
            (MLFLOW_PASSWORD, new_token),
            (DEVICE_IDENTITY, lambda: str(x25519.Identity.generate())),
            (DEVICE_TOKEN, new_token),
            (DEVICES, self._devices),
        ]
        return tuple(name for name, make in makers if self.ensure(name, make))

    def ensure(self, name: str, make: Callable[[], str], ending: str = "\n") -> bool:
        """Generate a secret unless it is there; return whether it was not. Raises StartFailed for an empty file."""
        if self.path(name).exists():
            self._refuse_empty(name)
            return False
        write_private(self.path(name), make() + ending)
        return True

    def _refuse_empty(self, name: str) -> None:
        """Keep an empty file from becoming an empty password. Raises StartFailed."""
        if not self.path(name).read_bytes().strip():
            raise StartFailed(
                f"{self.path(name)} is empty: put back what it held, or remove it to have another one generated "
                "(docs/secrets.md says what has to follow)"
            )

    def _devices(self) -> str:
        recipient = x25519.Identity.from_str(self.read(DEVICE_IDENTITY)).to_public()
        token_sha256 = hashlib.sha256(self.read(DEVICE_TOKEN).encode()).hexdigest()
        return json.dumps([{"name": DEVICE, "recipient": str(recipient), "token_sha256": token_sha256}])


def new_token() -> str:
    """Return a password of 256 random bits."""
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
