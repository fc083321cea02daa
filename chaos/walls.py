"""The proxies of a stack: one for each program and each door of a server. Anyone can be cut off from anything.

The services are told these ports in place of the servers'. Our client stays on the link by which it reached the one
node, whatever address that advertises: `round_about` finds whoever does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psutil

from chaos.proxy import PASS, Proxies, Rule
from chaos.schedule import EVERYBODY
from labelstream.service.settings import BrokerSettings
from labelstream_local import ports
from labelstream_local.ports import HOST
from labelstream_local.services import StackPorts

DOORS = {"rabbitmq": ("stream", "amqp"), "seaweedfs": ("s3",)}


@dataclass(frozen=True)
class Way:
    """One proxy: where it listens, and whither it leads."""

    port: int
    upstream_port: int


@dataclass(frozen=True)
class Walls:
    """All proxies, by who uses them and which door they lead to."""

    proxies: Proxies
    ways: Mapping[tuple[str, str], Way]
    held: set[tuple[str, str]] = field(default_factory=set)  # program and server, whatever else is done

    @classmethod
    async def around(cls, stack: StackPorts, programs: Iterable[str]) -> Walls:
        """Put a proxy between each program and each door. Raises StartFailed."""
        doors = {"stream": stack.rabbitmq.stream, "amqp": stack.rabbitmq.amqp, "s3": stack.seaweedfs.s3}
        led = [((program, door), port) for program in programs for door, port in doors.items()]
        chosen = ports.choose(len(led), _taken(stack))
        ways = {who: Way(port, upstream) for (who, upstream), port in zip(led, chosen, strict=True)}
        return cls(await Proxies.start({way.port: way.upstream_port for way in ways.values()}), ways)

    async def close(self) -> None:
        """Take them all down."""
        await self.proxies.close()

    def told(self, program: str) -> dict[str, str]:
        """Return the settings that lead a program through its proxies."""
        return {
            "LABELSTREAM_BROKER__STREAM_PORT": str(self.ways[program, "stream"].port),
            "LABELSTREAM_BROKER__AMQP_PORT": str(self.ways[program, "amqp"].port),
            "LABELSTREAM_STORE__ENDPOINT_URL": f"http://{HOST}:{self.ways[program, 's3'].port}",
        }

    def broker(self, program: str, settings: BrokerSettings) -> BrokerSettings:
        """Return how a program of this process reaches the broker."""
        doors = {f"{door}_port": self.ways[program, door].port for door in DOORS["rabbitmq"]}
        return settings.model_copy(update=doors)

    async def obey(self, who: str, server: str, rule: Rule) -> None:
        """Let a program, or everybody, meet a server as the rule says."""
        chosen = [
            way.port
            for (program, door), way in self.ways.items()
            if who in (EVERYBODY, program) and door in DOORS[server] and (program, server) not in self.held
        ]
        await self.proxies.obey(chosen, rule)

    async def hold(self, program: str, server: str) -> None:
        """Cut a program off from a server until it is released."""
        await self.obey(program, server, Rule("cut"))
        self.held.add((program, server))

    async def release(self, program: str, server: str) -> None:
        """Let it through again."""
        self.held.discard((program, server))
        await self.obey(program, server, PASS)

    def round_about(self, processes: Iterable[psutil.Process]) -> list[str]:
        """Return which of these processes reach a server without a proxy."""
        behind = {way.upstream_port for way in self.ways.values()}
        return [
            f"{process.pid} reaches port {port} without a proxy"
            for process in processes
            for port in _reached(process) & behind
        ]


def _taken(stack: StackPorts) -> set[int]:
    """Return every port that a stack will use itself."""
    servers = (*vars(stack.rabbitmq).values(), *vars(stack.seaweedfs).values(), stack.mlflow, stack.prometheus)
    return {*servers, *stack.services.values()}


def _reached(process: psutil.Process) -> set[int]:
    try:
        return {each.raddr.port for each in process.net_connections("tcp") if each.raddr}
    except psutil.Error:
        return set()
