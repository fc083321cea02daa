"""The secrets of a deployment by containers: which files there are, and which workload needs which of them.

Those that were generated stay as they are. The others are made of them and of the table of rights, and made again
when either changed: the same input gives the same bytes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from labelstream_local.definitions import definitions
from labelstream_local.lock import new_lock
from labelstream_local.mlflow import auth_config
from labelstream_local.rights import MONITOR, OPERATOR, PRODUCER, Served
from labelstream_local.seaweedfs import identities, inner_keys
from labelstream_local.secret_files import private_directory, write_private
from labelstream_local.secrets_store import (
    ADDRESS_HASH_KEY,
    DEVICE_IDENTITY,
    DEVICE_TOKEN,
    DEVICES,
    JWT_KEY,
    LEGACY_KEY,
    MLFLOW_PASSWORD,
    PRODUCER_HASH_KEY,
    SIGNING_KEY,
    VAULT_IDENTITY,
    VERIFYING_KEY,
    SecretStore,
    new_token,
)

ERLANG_COOKIE, GRAFANA_PASSWORD = "erlang-cookie", "grafana-admin-password"
SEAWEEDFS_SECURITY, SEAWEEDFS_IDENTITIES = "seaweedfs-security.toml", "seaweedfs-s3.json"
SEAWEEDFS_LOCK = "seaweedfs-lock.pem"
RABBITMQ_DEFINITIONS, MLFLOW_AUTH = "rabbitmq-definitions.json", "mlflow-auth.ini"
INFERENCE_API_KEY = "inference-api-key"  # `labelstream keys add` makes it, once the exporter answers
SERVED = "served.json"  # what the files were made for; no secret
_MLFLOW_DATABASE = "sqlite:////var/lib/mlflow/auth.db"  # in its container
# Containers run as other users than whoever made the files, and see them as they are. Nobody but their owner may
# enter the directory, so that on this machine they are as private as the directory is.
_FILE_MODE = 0o644

_OF_PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "annotation-ingest": (PRODUCER_HASH_KEY,),
    "augmenter": (),
    "augmenter-work": (),
    "trainer": (MLFLOW_PASSWORD,),
    "trainer-work": (),
    "exporter": (SIGNING_KEY, VAULT_IDENTITY, LEGACY_KEY, DEVICES),
    "exporter-work": (),
    "exporter-serve": (JWT_KEY, ADDRESS_HASH_KEY),
    "inference": (DEVICE_IDENTITY, DEVICE_TOKEN, VERIFYING_KEY),
    "inference-annotate": (),
}
NEEDS: Mapping[str, tuple[str, ...]] = {
    **{name: (f"broker-{name}", f"store-{name}", *more) for name, more in _OF_PROGRAMS.items()},
    "rabbitmq": (RABBITMQ_DEFINITIONS, ERLANG_COOKIE),
    "seaweedfs": (SEAWEEDFS_IDENTITIES, SEAWEEDFS_SECURITY, SEAWEEDFS_LOCK),
    "store-setup": (f"store-{OPERATOR}",),  # makes the buckets, once
    "grafana": (GRAFANA_PASSWORD,),
    "mlflow": (MLFLOW_AUTH,),
}
MAY_HAVE: Mapping[str, tuple[str, ...]] = {"inference-annotate": (INFERENCE_API_KEY,)}
FOR_PEOPLE = (f"broker-{OPERATOR}", f"broker-{PRODUCER}", f"store-{PRODUCER}", f"broker-{MONITOR}")


@dataclass(frozen=True)
class Made:
    """What became of the files of a directory."""

    generated: tuple[str, ...]
    written: tuple[str, ...]  # made of others, and other than before
    kept: int


def make(directory: Path, served: Served) -> Made:
    """Generate the secrets that are missing, and write what is made of them. Raises OSError, StartFailed."""
    store = SecretStore(private_directory(directory))
    written = _write(store, _served(served))  # first: it tells that the directory is ours, also if we are ended here
    generated = (*store.generate(), *(name for name, new in _MORE.items() if store.ensure(name, new, ending="")))
    written += _write(store, _made(store, served))
    files = [path for path in directory.iterdir() if path.is_file()]
    for path in files:
        path.chmod(_FILE_MODE)
    return Made(generated, written, len(files) - len(generated) - len(written))


def served_before(directory: Path) -> Served | None:
    """Return what the files of a directory were made for; None where none were made. Raises ValueError."""
    try:
        told = json.loads((directory / SERVED).read_text())
        return Served(tuple(told["projects"]), tuple(told["inputs"]))
    except FileNotFoundError:
        return None
    except (LookupError, TypeError) as error:
        raise ValueError(f"it lacks {error}") from error


def files_of(directory: Path, workload: str) -> tuple[Path, ...]:
    """Return the files that a workload reads, also those that are missing; what it may have, where it is there."""
    more = (directory / name for name in MAY_HAVE.get(workload, ()))
    return (*(directory / name for name in NEEDS[workload]), *(path for path in more if path.exists()))


def _served(served: Served) -> dict[str, str]:
    return {SERVED: json.dumps({"projects": served.projects, "inputs": served.more_inputs}) + "\n"}


def _made(store: SecretStore, served: Served) -> dict[str, str]:
    return {
        RABBITMQ_DEFINITIONS: definitions(store.broker_passwords(), served),
        SEAWEEDFS_IDENTITIES: identities(store.store_keys()),
        MLFLOW_AUTH: auth_config(store.read(MLFLOW_PASSWORD), _MLFLOW_DATABASE),
    }


def _write(store: SecretStore, made: Mapping[str, str]) -> tuple[str, ...]:
    """Write what is other than before; return its names."""
    written = tuple(name for name, text in made.items() if _is_other(store.path(name), text))
    for name in written:
        write_private(store.path(name), made[name])
    return written


def _is_other(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text() != text


# Read by others than us, who may take the end of a line for a part of a password.
_MORE: Mapping[str, Callable[[], str]] = {
    ERLANG_COOKIE: lambda: secrets.token_hex(24),
    GRAFANA_PASSWORD: new_token,
    SEAWEEDFS_SECURITY: inner_keys,
    SEAWEEDFS_LOCK: new_lock,
}
