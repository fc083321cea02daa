"""The containers of a compose project, as `docker` tells of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from labelstream_local.layout import Layout
from labelstream_local.process import StartFailed
from labelstream_local.supervisor import ProcessState, Supervisor

HTTP = 8080  # where a program answers, in its container
_WITHIN_S = 30
# What supervisord would call it.
_STATES = {"running": "RUNNING", "restarting": "BACKOFF", "created": "STARTING", "paused": "STOPPED", "dead": "FATAL"}
_LABEL = "com.docker.compose."


@dataclass(frozen=True)
class Published:
    """Where a port of a container can be reached from outside."""

    host: str
    port: int


@dataclass(frozen=True)
class Container:
    """One container, as far as we care."""

    service: str
    state: str  # created, running, restarting, exited…
    health: str | None  # starting, healthy, unhealthy; None where nobody looks
    published: Mapping[int, Published]  # port inside → where
    address: str  # inside the project's networks; empty while it does not run
    environment: Mapping[str, str]
    started_at: float

    @property
    def is_well(self) -> bool:
        """Whether it runs and nothing is said against it."""
        return self.state == "running" and self.health in (None, "healthy")

    @property
    def standing(self) -> str:
        """How it is, in a word."""
        return self.health if self.state == "running" and self.health else self.state


class Docker(Protocol):
    """Tells of containers."""

    def inspect(self, project: str) -> list[dict[str, Any]]:
        """Return what `docker inspect` says of each container of a compose project. Raises StartFailed."""
        ...


class DockerCommand:
    """The program `docker`."""

    def inspect(self, project: str) -> list[dict[str, Any]]:
        """Return what it says of each container of a compose project. Raises StartFailed."""
        ids = self._said("ps", "--all", "--quiet", "--filter", f"label={_LABEL}project={project}").split()
        inspected: list[dict[str, Any]] = json.loads(self._said("inspect", *ids)) if ids else []
        return inspected

    def _said(self, *arguments: str) -> str:
        program = shutil.which("docker")
        if program is None:
            raise StartFailed("there is no program `docker` here: install Docker, or run this where the containers run")
        try:
            done = subprocess.run(  # noqa: S603  the command is ours
                [program, *arguments], capture_output=True, text=True, check=False, timeout=_WITHIN_S
            )
        except subprocess.TimeoutExpired as error:
            raise StartFailed(f"`docker {arguments[0]}` did not answer within {_WITHIN_S} s") from error
        if done.returncode != 0:
            raise StartFailed(f"`docker {arguments[0]}` failed: {done.stderr.strip()}")
        return done.stdout


class Containers(Supervisor):
    """Docker in supervisord's place, for those who ask which programs run."""

    def __init__(self, layout: Layout, project: str, docker: Docker | None = None) -> None:
        super().__init__(layout)
        self._project = project
        self._docker = docker or DockerCommand()

    def processes(self) -> dict[str, ProcessState]:
        """Return the state of each program; none when Docker is away."""
        try:
            containers = containers_of(self._docker, self._project)
        except StartFailed:  # as when supervisord is away: whoever asks says that nothing runs
            return {}
        return {one.service: _process(one) for one in containers}

    def addresses(self) -> dict[str, str]:
        """Return where in the networks each container is now: with each start it may be elsewhere."""
        try:
            containers = containers_of(self._docker, self._project)
        except StartFailed:
            return {}
        return {one.service: f"http://{one.address}:{HTTP}" for one in containers if one.address}


def containers_of(docker: Docker, project: str) -> list[Container]:
    """Return the containers of a compose project; of several of one service, one that is well. Raises StartFailed."""
    known = sorted(_told(docker.inspect(project)), key=lambda one: one.is_well)
    return sorted({one.service: one for one in known}.values(), key=lambda one: one.service)


def _told(inspected: Iterable[Mapping[str, Any]]) -> Iterable[Container]:
    for said in inspected:
        labels = said["Config"].get("Labels") or {}
        if labels.get(f"{_LABEL}oneoff") == "True":
            continue
        yield Container(
            service=labels.get(f"{_LABEL}service", ""),
            state=said["State"]["Status"],
            health=(said["State"].get("Health") or {}).get("Status"),
            published=_published(said["NetworkSettings"].get("Ports") or {}),
            address=_address(said["NetworkSettings"].get("Networks") or {}),
            environment=dict(line.split("=", 1) for line in said["Config"].get("Env") or () if "=" in line),
            started_at=_seconds(said["State"].get("StartedAt", "")),
        )


def _published(ports: Mapping[str, list[Mapping[str, str]] | None]) -> dict[int, Published]:
    found = {}
    for name, bound in ports.items():
        number, _, protocol = name.partition("/")
        if protocol == "tcp" and bound:
            found[int(number)] = Published(bound[0]["HostIp"], int(bound[0]["HostPort"]))
    return found


def _address(networks: Mapping[str, Mapping[str, str]]) -> str:
    """Return the address in the network that all share; else any."""
    shared_first = sorted(networks, key=lambda name: not name.endswith("_back"))
    return next((networks[name]["IPAddress"] for name in shared_first if networks[name].get("IPAddress")), "")


def _process(one: Container) -> ProcessState:
    return ProcessState(one.service, _STATES.get(one.state, "EXITED"), None, one.started_at, 0.0)


def _seconds(said: str) -> float:
    """Return a time such as 2026-11-21T20:00:00.123456789Z in seconds; 0 where there is none."""
    try:
        return datetime.fromisoformat(said[:19] + "+00:00").timestamp()
    except ValueError:
        return 0.0
