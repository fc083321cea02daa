"""Prints the OpenAPI document of the public API: `python -m exporter.delivery.document > docs/api-exporter.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from exporter.delivery.serving import ApiBuckets, Serving
from exporter.delivery.settings import ApiGroup
from labelstream.blobs.memory import MemoryBlobs
from labelstream.jobs.memory import MemoryJobQueue
from labelstream.service.health import Health
from labelstream.streams.memory import MemoryBroker


def api_document() -> str:
    """Return the document of an API that is connected to nothing."""
    with TemporaryDirectory() as folder:
        key = Path(folder) / "jwt.pem"
        private = Ed25519PrivateKey.generate()
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        own = ApiGroup(jwt_keys=(key,), address_hash_key=SecretStr("of no importance"), replica="none")
        buckets = ApiBuckets(MemoryBlobs(), MemoryBlobs())
        serving = Serving.build(own, "default", buckets, MemoryBroker(), MemoryJobQueue(), Health())
    serving.passwords.close()
    return json.dumps(serving.routes.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(api_document())
