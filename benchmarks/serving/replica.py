"""A whole replica of inference with a broker and a store in memory, which swaps its model again and again.

python -m benchmarks.serving.replica --port 8080 --folder EMPTY --swap-every 10
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.serving.cells import cells_bundle
from inference.access.opening import open_access
from inference.answering.images import run_single_threaded
from inference.app import put_together
from inference.settings import InferenceGroup, InferenceSettings
from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.events.base import MODEL_EVENTS
from labelstream.events.envelope import Envelope
from labelstream.events.model import ModelPromoted
from labelstream.protection.bundling import WrittenBundle, sealed_files
from labelstream.protection.grants import grant_content, make_grant
from labelstream.protection.promotions import PromotionStatement, promote
from labelstream.protection.sealing import new_identity
from labelstream.protection.signing_keys import new_signing_key
from labelstream.service.health import Health
from labelstream.service.http import serve_http
from labelstream.service.logs import configure_logs
from labelstream.streams.memory import MemoryBroker
from labelstream.values import FileRef, sha256_hex

GAINS = (1.0, 0.9)  # of the two models that take turns


@dataclass(frozen=True)
class Granted:
    """The exporter's API: a grant for each model."""

    by_model: dict[str, bytes]

    async def fetch(self, project: str, model: str) -> bytes:  # noqa: ARG002  # the port's signature
        """Return the grant."""
        return self.by_model[model]


@dataclass(frozen=True)
class World:
    """What lies around the replica."""

    folder: Path
    broker: MemoryBroker
    store: MemoryBlobs
    grants: Granted
    bundles: tuple[WrittenBundle, ...]
    identity: str

    @classmethod
    async def made(cls, folder: Path) -> World:
        """Write two bundles, and put their big parts into the store."""
        private, public = new_signing_key()
        (folder / "signer.pem").write_bytes(private)
        (folder / "signer.pub").write_bytes(public)
        identity, recipient = new_identity()
        bundles = tuple(cells_bundle(folder, f"cells-{gain}", folder / "signer.pem", gain) for gain in GAINS)
        granted = {each.manifest.model: make_grant(grant_content(each.key, "bench"), recipient) for each in bundles}
        world = cls(folder, MemoryBroker(), MemoryBlobs(), Granted(granted), bundles, identity)
        for bundle in bundles:
            await world._publish(bundle)
        return world

    def settings(self) -> InferenceSettings:
        """Return the replica's settings."""
        group = InferenceGroup.model_validate(
            {
                "device_identity": self.identity,
                "device_token": "unused",
                "exporter_url": "http://unused",
                "trusted_keys": (self.folder / "signer.pub",),
                "replica": "soak",
                "access": "open",
                "runtimes": ("onnxruntime",),  # the network is so small that chance would choose
            }
        )
        return InferenceSettings.model_validate(
            {
                "broker": {"username": "u", "password": "p"},
                "store": {"endpoint_url": "http://unused", "access_key": "a", "secret_key": "s"},
                "state_dir": self.folder / "state",
                "inference": group,
            }
        )

    async def swap(self, turn: Callable[[], Awaitable[object]]) -> None:
        """Promote the two models in turn, under rising numbers, the next one when `turn` returns; until cancelled."""
        await self.broker.ensure_stream(MODEL_EVENTS)
        publisher = self.broker.publisher(MODEL_EVENTS, "exporter")
        for number in itertools.count(1):
            event = self._promotion(self.bundles[number % len(self.bundles)], number)
            envelope = Envelope.of(event, source="exporter", answers=f"swap:{number}", project="default")
            await publisher.publish([(number, envelope.to_message())])
            await turn()

    async def _publish(self, bundle: WrittenBundle) -> None:
        project, model = bundle.manifest.project, bundle.manifest.model
        for name in ("manifest.json", "model.sig"):
            await self.store.put(keys.model(project, model, name), (bundle.directory / name).read_bytes())
        parts = bundle.write_big_parts(self.folder / f"{model}-big")
        for file in sealed_files(bundle.manifest):
            await self.store.put(keys.big_part(project, model, file.file), parts[file.file].read_bytes())

    def _promotion(self, bundle: WrittenBundle, number: int) -> ModelPromoted:
        project, model = bundle.manifest.project, bundle.manifest.model
        statement = PromotionStatement(
            project=project, model=model, number=number, manifest_sha256=bundle.manifest_sha256, signed_ms=number
        )
        signed = promote(statement, self.folder / "signer.pem")
        content = {name: (bundle.directory / name).read_bytes() for name in ("manifest.json", "model.sig")}
        files = {
            name: FileRef(key=keys.model(project, model, name), sha256=sha256_hex(data), size_bytes=len(data))
            for name, data in content.items()
        }
        return ModelPromoted(
            model=model,
            number=number,
            manifest=files["manifest.json"],
            signature=files["model.sig"],
            statement=signed.statement,
            statement_signature=signed.signature,
            reason="its turn",
        )


async def serve(port: int, folder: Path, every_s: float) -> None:
    """Serve until cancelled."""
    run_single_threaded()
    configure_logs("inference", "warning")
    world, health = await World.made(folder), Health()
    access = open_access("127.0.0.1")
    replica = put_together(world.settings(), health, world.broker, world.store, world.grants, access)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(replica.follower.run())
            tasks.create_task(replica.telemetry.run())
            tasks.create_task(serve_http(replica.api, "127.0.0.1", port, limits=replica.answering.limits))
            tasks.create_task(world.swap(_at_signals() if every_s == 0 else partial(asyncio.sleep, every_s)))
    finally:
        replica.answering.close()


def _at_signals() -> Callable[[], Awaitable[object]]:
    """Return what waits for the next SIGUSR1."""
    told: asyncio.Queue[None] = asyncio.Queue()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.put_nowait, None)
    return told.get


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser("python -m benchmarks.serving.replica", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--swap-every", type=float, default=10, help="seconds; 0: at each SIGUSR1")
    told = parser.parse_args()
    asyncio.run(serve(told.port, told.folder, told.swap_every))


if __name__ == "__main__":
    main()
