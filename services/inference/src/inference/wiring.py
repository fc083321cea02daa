"""Wiring of what answers, whether its models come by promotions or out of a directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import REGISTRY

from inference.answering.api import build_api
from inference.answering.bodies import Bodies
from inference.answering.images import decode
from inference.answering.parts import Parts
from inference.answering.predicting import Predictor
from inference.answering.streaming import StreamLimits, Streams
from inference.answering.workers import Workers
from inference.drift.watching import Drift
from inference.engine.choosing import Engines
from inference.engine.geometry import ImageLimits
from inference.engine.tiling import Tiling
from inference.metrics import start_at_zero
from inference.serving.loading import Loader
from inference.serving.models import Models
from inference.serving.ports import Gate, Observer
from inference.serving.probation import DIED, FAILED, SLOW
from inference.settings import InferenceGroup
from inference.showing import Showing
from labelstream.errors import Misconfigured, Rejected
from labelstream.protection import age_keys
from labelstream.protection.signing_keys import load_public_key
from labelstream.service.connections import ConnectionLimits
from labelstream.service.health import Health


@dataclass(frozen=True)
class Answering:
    """The HTTP API and the threads behind it."""

    api: FastAPI
    workers: Workers
    models: Models
    limits: ConnectionLimits  # of whoever serves the API
    drift: Drift
    showing: Showing

    def close(self) -> None:
        """Finish what is in work, then let the models go."""
        REGISTRY.unregister(self.drift)
        REGISTRY.unregister(self.showing)
        self.workers.close()
        self.models.close()


def answering(
    group: InferenceGroup,
    health: Health,
    models: Models,
    gate: Gate,
    loader: Loader,
    observers: Sequence[Observer],
    uploads: Path | None = None,
) -> Answering:
    """Connect the parts that answer requests; what long ones send lies in `uploads` (None: where the system likes)."""
    workers = Workers(loader.engines.threads, group.queue_size)
    bodies = Bodies(group.max_uploads_bytes, group.upload_timeout_s)
    limits = ImageLimits(group.max_image_bytes, group.max_pixels)
    drift = Drift(models, group.drift_window, group.drift_least)
    showing = Showing(models, workers)
    for collector in (drift, showing):
        REGISTRY.register(collector)
    start_at_zero(models.projects, (FAILED, SLOW, DIED))
    tiling = Tiling(group.tile, group.tile_overlap) if group.tile else None
    parts = Parts(
        models,
        Predictor(models, workers, (*observers, drift), tiling),
        gate,
        limits,
        decode,
        bodies,
        group.longest_wait_ms,
        streams(group, uploads),
    )
    api = build_api(parts, health, group.cors_origins)
    return Answering(api, workers, models, connection_limits(group), drift, showing)


def streams(group: InferenceGroup, uploads: Path | None) -> Streams:
    """Return the places for batches and videos."""
    limits = StreamLimits(
        max_files=group.max_files,
        max_batch_bytes=group.max_batch_bytes,
        max_zip_ratio=group.max_zip_ratio,
        max_video_bytes=group.max_video_bytes,
        max_video_s=group.max_video_s,
        max_video_frames=group.max_video_frames,
        max_video_pixels=group.max_video_pixels,
        stall_s=group.stream_stall_s,
    )
    return Streams(group.max_streams, limits, uploads)


def connection_limits(group: InferenceGroup) -> ConnectionLimits:
    """Return how many connections there may be, and how long one may be of no use."""
    return ConnectionLimits(group.max_connections, head_s=group.upload_timeout_s, stall_s=group.upload_timeout_s)


def build_loader(group: InferenceGroup) -> Loader:
    """Return what opens bundles with this device's key. Raises Misconfigured."""
    identity = group.device_identity.get_secret_value()
    try:
        age_keys.identities(identity)
    except (Misconfigured, Rejected) as error:
        raise Misconfigured(f"the device's identity (LABELSTREAM_INFERENCE__DEVICE_IDENTITY): {error}") from error
    for path in group.trusted_keys:
        load_public_key(path)
    engines = Engines(
        group.device,
        group.artifacts,
        group.max_batch,
        group.threads,
        spread=group.spread,
        runtimes=group.runtimes,
    )
    return Loader(group.trusted_keys, identity, engines, decode)
