"""An exporter's decider on doubles."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from exporter.exporting.options import ExportingOptions
from exporter.settings import DeciderGroup
from labelstream.protection.sealing import new_identity
from labelstream.protection.signing_keys import new_signing_key

from .stand import ONNX, Exporter


@pytest.fixture
def vault_identity() -> str:
    return new_identity()[0]


@pytest.fixture
def signing_key(tmp_path: Path) -> Path:
    key = tmp_path / "signer.pem"
    key.write_bytes(new_signing_key()[0])
    return key


@pytest.fixture
def group(signing_key: Path, vault_identity: str) -> DeciderGroup:
    """The decider's settings."""
    return DeciderGroup(signing_key=signing_key, vault_identity=SecretStr(vault_identity), poll_s=0.01)


@pytest.fixture
async def exporter(tmp_path: Path, signing_key: Path, vault_identity: str) -> Exporter:
    """An exporter that is told to make one format, and has a worker for it."""
    options = ExportingOptions(formats=(ONNX,), absent_s=0)
    exporter = Exporter(tmp_path / "publishing", signing_key, vault_identity, options)
    await exporter.there(ONNX)
    return exporter
