"""A compose project as a stack: every command works on it by `--dir`, as on the embedded one.

Docker tells which containers run, what they were told and where their ports can be reached; the secrets are those that
the project was started with. What is found is written down as a stack's record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from labelstream_local.containers import HTTP, Container, Docker, DockerCommand, containers_of
from labelstream_local.layout import DEFAULT, Layout
from labelstream_local.mlflow import MLFLOW
from labelstream_local.ports import HOST
from labelstream_local.process import StartFailed
from labelstream_local.rabbitmq import RabbitPorts
from labelstream_local.record import Record
from labelstream_local.seaweedfs import WeedPorts
from labelstream_local.secret_files import private_directory
from labelstream_local.secrets_store import SecretStore
from labelstream_local.services import NAMES, SERVERS, StackPorts
from labelstream_local.stack import Stack

PROJECT = "labelstream"
DIRECTORY = DEFAULT / "compose"
SECRETS = Path("deploy/secrets")
OPTIONAL = ("inference-annotate",)  # of a profile
_STREAMS, _AMQP, _S3, _MLFLOW_PORT = 5552, 5672, 8333, 5000  # inside the containers


def attached(
    directory: Path = DIRECTORY,
    secrets: Path = SECRETS,
    project: str = PROJECT,
    docker: Docker | None = None,
) -> Stack:
    """Return a compose project that runs on this machine as a stack; its record is kept in `directory`.

    Raises StartFailed, saying what does not run or can't be reached.
    """
    known = {one.service: one for one in containers_of(docker or DockerCommand(), project)}
    _require_all(known, project)
    layout = _linked(Layout.at(directory), secrets)
    record = Record(
        ports=_ports(known),
        projects=_projects(known["annotation-ingest"]),
        services=tuple(name for name in NAMES if name in known),
        compose=project,
        elsewhere=_elsewhere(known),
    )
    record.write(layout)
    return Stack(layout, record, SecretStore(layout.secrets), was_running=True)


def _require_all(known: Mapping[str, Container], project: str) -> None:
    needed = [name for name in (*SERVERS, *NAMES) if name not in OPTIONAL]
    if not any(name in known for name in needed):
        raise StartFailed(f"no compose project {project} runs here: `docker compose up --wait` starts it")
    unwell = [f"{name} is {known[name].standing if name in known else 'not there'}" for name in needed
              if name not in known or not known[name].is_well]  # fmt: skip
    if unwell:
        raise StartFailed(
            f"the compose project {project} is not up: {', '.join(unwell)}; `docker compose ps --all` and "
            "`docker compose logs` say more"
        )


def _linked(layout: Layout, secrets: Path) -> Layout:
    """Return the layout with the project's secrets in it. Raises StartFailed."""
    if not secrets.is_dir():
        raise StartFailed(f"there is no directory {secrets}: name the one that the project was started with")
    before = Record.read(layout)
    if before is not None and not before.compose:
        raise StartFailed(f"an embedded stack lives in {layout.root}: name another directory with --dir")
    private_directory(layout.root)
    if layout.secrets.is_symlink():
        layout.secrets.unlink()
    if not layout.secrets.exists():
        layout.secrets.symlink_to(secrets.resolve())
    if not layout.secrets.samefile(secrets):
        raise StartFailed(f"{layout.secrets} holds other secrets than {secrets}: name another directory with --dir")
    layout.create()
    return layout


def _ports(known: Mapping[str, Container]) -> StackPorts:
    rabbitmq, seaweedfs = known["rabbitmq"], known["seaweedfs"]
    return StackPorts(
        RabbitPorts(_needed(rabbitmq, _AMQP), _needed(rabbitmq, _STREAMS), 0, 0, 0),
        WeedPorts(_needed(seaweedfs, _S3), 0, 0, 0, 0),
        {name: _port(known.get(name), HTTP) for name in NAMES},
        mlflow=_port(known.get(MLFLOW), _MLFLOW_PORT),
        prometheus=0,
    )


def _needed(container: Container, inside: int) -> int:
    port = _port(container, inside)
    if not port:
        where = container.published.get(inside)
        said = f"on {where.host} only" if where else "nowhere"
        raise StartFailed(f"port {inside} of {container.service} is published {said}, and not on {HOST}")
    return port


def _port(container: Container | None, inside: int) -> int:
    """Return the port of this machine behind which a container's port lies; 0 when there is none."""
    where = container.published.get(inside) if container else None
    return where.port if where and where.host in (HOST, "0.0.0.0", "::", "") else 0  # noqa: S104  nothing listens


def _elsewhere(known: Mapping[str, Container]) -> dict[str, str]:
    """Return the addresses of programs that are not published: on Linux their machine reaches them, and nobody else."""
    inner = {name: known[name] for name in NAMES if name in known and not _port(known[name], HTTP)}
    return {name: f"http://{one.address}:{HTTP}" for name, one in inner.items() if one.address}


def _projects(ingest: Container) -> tuple[str, ...]:
    return tuple(json.loads(ingest.environment.get("LABELSTREAM_PROJECTS", '["default"]')))
