"""Without a network: models come out of directories that were pulled, and stay until the service is stopped."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog
import uvloop
from pydantic import Field

from inference.access.opening import Access, access_from_file, open_access
from inference.answering.images import run_single_threaded
from inference.serving.loading import Loader
from inference.serving.models import Models, ServingModel
from inference.serving.pulled import open_pulled
from inference.serving.standing import Standing
from inference.settings import InferenceGroup
from inference.wiring import answering, build_loader
from labelstream.errors import Misconfigured, Rejected
from labelstream.service.health import Health
from labelstream.service.http import serve_http, take_port
from labelstream.service.logs import configure_logs
from labelstream.service.metrics import introduce_program
from labelstream.service.serve import MISCONFIGURED, run_service
from labelstream.service.settings import Environment, read_settings

REFUSED = 4  # the exit code of a bundle that is not to be believed, or does not open

log = structlog.get_logger()


@dataclass(frozen=True)
class Told:
    """What the command line says; None where it leaves it to the environment."""

    bundle: tuple[Path, ...]
    identity: Path | None = None
    trusted_key: tuple[Path, ...] = ()
    host: str | None = None
    port: int | None = None
    access: Literal["open"] | None = None
    api_keys: Path | None = None


class OfflineSettings(Environment):
    """The settings of a service that has no network."""

    inference: InferenceGroup
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class _Named(Environment):
    """Which settings of inference stand in the environment."""

    inference: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """Everything that is needed to serve; each model is proved and warm."""

    settings: OfflineSettings
    access: Access
    port: socket.socket
    loader: Loader
    models: tuple[ServingModel, ...]

    async def serve(self, health: Health) -> None:
        """Serve until cancelled."""
        models = _put_up(self.models, health)
        answers = answering(self.settings.inference, health, models, self.access.gate, self.loader, ())
        host, number = self.port.getsockname()[:2]
        log.info("http.listening", host=host, port=number)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.access.run())
                tasks.create_task(serve_http(answers.api, host, number, self.port, limits=answers.limits))
        finally:
            answers.close()


def run(told: Told) -> int:
    """Serve pulled models until told to stop; return the exit code."""
    try:
        settings = settings_of(told)
        configure_logs("inference", settings.log_level)
        ready = prepare(told, settings)
    except Misconfigured as error:
        _say(str(error))
        return MISCONFIGURED
    except Rejected as error:
        _say(f"{error.rule}: {error.reason}\n  {error.hint}")
        return REFUSED
    introduce_program("inference")
    return run_service(ready.serve, uvloop.new_event_loop)


def prepare(told: Told, settings: OfflineSettings) -> Ready:
    """Take the port, and open every model. Raises Misconfigured, Rejected."""
    run_single_threaded()
    access = _access(told, settings)
    loader = build_loader(settings.inference)
    port = take_port(settings.http_host, settings.http_port)
    return Ready(settings, access, port, loader, tuple(_models(loader, told.bundle)))


def _put_up(opened: Sequence[ServingModel], health: Health) -> Models:
    models = Models(model.manifest.project for model in opened)
    standing = Standing(health, models)
    for model in opened:
        models.swap(model)
        standing.serves(model.manifest.project)
    return models


def _models(loader: Loader, directories: Sequence[Path]) -> list[ServingModel]:
    """Open every directory. Raises Misconfigured, Rejected."""
    opened: dict[str, ServingModel] = {}
    for directory in directories:
        model = open_pulled(loader, directory)
        project = model.manifest.project
        if project in opened:
            raise Misconfigured(f"{directory} holds a second model of {project!r}: one answers for each project")
        opened[project] = model
        facts = {"project": project, "model": model.manifest.model, "artifact": model.engine.artifact}
        log.info("model.opened", directory=str(directory), promotion=model.promotion, **facts)
    return list(opened.values())


def _access(told: Told, settings: OfflineSettings) -> Access:
    """Return who is let in. Raises Misconfigured when nobody said so: it is never open by default."""
    if told.api_keys is not None:
        return access_from_file(told.api_keys)
    if settings.inference.access == "open":
        return open_access(settings.http_host)
    raise Misconfigured("say who may ask: --api-keys FILE, or --access open for everybody who reaches the address")


def settings_of(told: Told) -> OfflineSettings:
    """Return what the command line and, behind it, the environment say. Raises Misconfigured."""
    named = read_settings(_Named).inference
    # There is no exporter to be asked, so whatever stands there is not used.
    group: dict[str, Any] = {"exporter_url": "", "device_token": ""}
    if told.access is not None:
        group["access"] = told.access
    if told.identity is not None:
        group["device_identity"] = _text(told.identity)
    elif "device_identity" not in named:
        raise Misconfigured("name this device's age identity file with --identity FILE")
    if told.trusted_key:
        group["trusted_keys"] = told.trusted_key
    elif "trusted_keys" not in named:
        raise Misconfigured("name at least one public signing key that is trusted with --trusted-key PUB")
    address = {"http_host": told.host, "http_port": told.port}
    given = {name: value for name, value in address.items() if value is not None}
    return read_settings(OfflineSettings, inference=group, **given)


def _text(identity: Path) -> str:
    try:
        return identity.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the identity file {identity} can't be read: {error}") from error


def _say(problem: str) -> None:
    print(f"inference: {problem}", file=sys.stderr)  # noqa: T201  # a person started it, and reads this
