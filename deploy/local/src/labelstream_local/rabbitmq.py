"""RabbitMQ as a private child process: own node, own epmd, own ports, all on 127.0.0.1."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr
from rstream import Producer

from labelstream.service.settings import BrokerSettings
from labelstream_local import ports
from labelstream_local.definitions import definitions
from labelstream_local.process import Child, Command, StartFailed, last_lines, stop_marked, wait_until
from labelstream_local.rights import OPERATOR, USERS, Served
from labelstream_local.secret_files import private_directory, write_private

CHOSEN = "LABELSTREAM_RABBITMQ_SERVER"
# The script in bin/ of the installation; the one in sbin/ changes directory and user.
_PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server")
_MISSING = (
    "RabbitMQ is not installed. On Debian and Ubuntu: `make system`, or "
    "`sudo RUNLEVEL=1 apt-get install -y --no-install-recommends rabbitmq-server`. "
    "On Fedora: `sudo dnf install rabbitmq-server`. On macOS: `brew install rabbitmq`. "
    "Version 3.10 and later will do."
)
_PLUGINS = ("rabbitmq_prometheus", "rabbitmq_stream")
# Idle schedulers sleep instead of spinning: the trainer wants those cores.
_ERL_ARGS = "-noinput -start_epmd false +sbwt none +sbwtdcpu none +sbwtdio none"
_CONFIG = """\
listeners.tcp.default = 127.0.0.1:{amqp}
stream.listeners.tcp.default = 127.0.0.1:{stream}
stream.advertised_host = 127.0.0.1
stream.advertised_port = {stream}
load_definitions = {definitions}
loopback_users = none
disk_free_limit.absolute = 200MB
vm_memory_high_watermark.relative = 0.4
log.console.level = warning
"""
_CONFIG_OF_PLUGIN = {
    "rabbitmq_prometheus": "prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {prometheus}\n"
    "prometheus.return_per_object_metrics = true\n",
}


@dataclass(frozen=True)
class RabbitPorts:
    """The ports of one node, all on 127.0.0.1."""

    amqp: int
    stream: int
    prometheus: int
    distribution: int
    epmd: int

    @classmethod
    def free(cls) -> RabbitPorts:
        """Choose ports that are free now."""
        return cls(*ports.choose(5))


@dataclass
class RabbitServer:
    """One RabbitMQ node under `base_dir`; its data outlive stop() and kill()."""

    base_dir: Path
    ports: RabbitPorts = field(default_factory=RabbitPorts.free)
    passwords: dict[str, str] = field(default_factory=dict, repr=False)  # user → password; the missing are generated
    plugins: tuple[str, ...] = _PLUGINS
    served: Served = field(default_factory=Served)  # whose input streams the users may reach
    retired: tuple[str, ...] = ()  # users of earlier times, who may do nothing any more
    _epmd: Child | None = None
    _beam: Child | None = None

    def __post_init__(self) -> None:
        for user in USERS:
            self.passwords.setdefault(user, secrets.token_urlsafe(24))

    @property
    def settings(self) -> BrokerSettings:
        """How the operator reaches this node."""
        return self.settings_of(OPERATOR)

    def settings_of(self, user: str) -> BrokerSettings:
        """How a user reaches this node."""
        return BrokerSettings(
            host=ports.HOST,
            stream_port=self.ports.stream,
            amqp_port=self.ports.amqp,
            username=user,
            password=SecretStr(self.passwords[user]),
        )

    @property
    def pid(self) -> int:
        """The process id of the node (the Erlang virtual machine)."""
        return _started(self._beam).pid

    @property
    def log(self) -> Path:
        """What the node prints."""
        return self.base_dir / "rabbitmq.log"

    def prepare(self) -> tuple[Command, Command]:
        """Write the configuration; return the commands of epmd and of the node, to be started in this order.

        Raises StartFailed when RabbitMQ is not installed.
        """
        server, epmd = find_rabbitmq()
        private_directory(self.base_dir)
        self._write_files()
        address = {"ERL_EPMD_PORT": str(self.ports.epmd), "ERL_EPMD_ADDRESS": ports.HOST, "HOME": str(self.base_dir)}
        return (
            Command("epmd", (epmd, "-port", str(self.ports.epmd), "-address", ports.HOST), self.base_dir, address),
            Command("rabbitmq", (server,), self.base_dir, {**address, **self._environment()}),
        )

    def start(self) -> None:
        """Start the node and wait until one can log in. Raises StartFailed with the end of its log."""
        mark = str(self.base_dir)
        epmd, beam = self.prepare()
        if self._epmd is None or not self._epmd.running:
            self._epmd = Child(epmd, mark, self.base_dir / "epmd.log")
            self._epmd.start()
            wait_until(lambda: ports.is_open(self.ports.epmd), lambda: _started(self._epmd).running, 10, 0.02)
        self._beam = Child(beam, mark, self.log)
        self._beam.start()
        if not wait_until(self.ready, lambda: _started(self._beam).running, 90):
            self.stop()
            raise StartFailed(f"RabbitMQ did not come up. The end of {self.log}:\n{last_lines(self.log)}")

    def ready(self) -> bool:
        """Return whether both protocols answer and the operator's password opens the door."""
        return speaks_amqp(self.ports.amqp) and ports.is_open(self.ports.stream) and can_log_in(self.settings)

    def kill(self) -> None:
        """Kill the node as a crash would, once it can come back with its streams; epmd stays."""
        if self._beam is not None:
            wait_until(self._remembers, lambda: _started(self._beam).running, 15, 0.05)
            self._beam.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Start the node again after kill() or stop(), or stop and start it when it runs."""
        if self._beam is not None:
            self._beam.stop()
        self.start()

    def stop(self) -> None:
        """Stop the node, epmd and everything that they started."""
        if self._beam is not None:
            self._beam.stop()
        if self._epmd is not None:
            self._epmd.stop()
        stop_marked(str(self.base_dir))

    def _remembers(self) -> bool:
        # A node writes the name of its stream coordinator, as of each quorum queue, to the disk up to seconds after the
        # first was declared. One that is killed before (3.10) never serves its streams again: StreamNotAvailable.
        systems = (self.base_dir / "mnesia").glob("*/*/*/names.dets")
        return all(_names_all(system) for system in systems)

    def _write_files(self) -> None:
        template = _CONFIG + "".join(_CONFIG_OF_PLUGIN.get(plugin, "") for plugin in self.plugins)
        told = self.base_dir / "definitions.json"
        write_private(told, definitions(self.passwords, self.served, self.retired))
        config = template.format(**vars(self.ports), definitions=told)
        write_private(self.base_dir / "rabbitmq.conf", config)
        write_private(self.base_dir / "advanced.config", "[].\n")
        write_private(self.base_dir / "rabbitmq-env.conf", "")
        write_private(self.base_dir / "enabled_plugins", f"[{','.join(self.plugins)}].\n")
        cookie = self.base_dir / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, secrets.token_hex(24))
            cookie.chmod(0o400)

    def _environment(self) -> dict[str, str]:
        base = self.base_dir
        return {
            "RABBITMQ_NODENAME": "labelstream@localhost",
            "RABBITMQ_BASE": str(base),
            "RABBITMQ_MNESIA_BASE": str(base / "mnesia"),
            "RABBITMQ_LOG_BASE": str(base / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(base / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(base / "rabbitmq-env.conf"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(base / "generated"),
            "RABBITMQ_PID_FILE": str(base / "rabbitmq.pid"),
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "ERL_CRASH_DUMP_SECONDS": "0",  # a dump would hold passwords
            "RABBITMQ_ALLOW_INPUT": "1",  # the script becomes the node instead of staying its parent
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {_ERL_ARGS}",
        }


def find_rabbitmq() -> tuple[str, str]:
    """Return where rabbitmq-server and epmd are; LABELSTREAM_RABBITMQ_SERVER names another installation's script.

    Erlang's programs are looked for in PATH. Raises StartFailed that says what to install.
    """
    places = (os.environ[CHOSEN],) if CHOSEN in os.environ else _PLACES
    server = next((place for place in places if Path(place).exists()), None) or shutil.which("rabbitmq-server")
    epmd = shutil.which("epmd")
    if server is None or epmd is None:
        raise StartFailed(_MISSING)
    return server, epmd


def _names_all(names: Path) -> bool:
    known = names.read_bytes()
    return all(member.name.encode() in known for member in names.parent.glob("RABBIT*") if member.is_dir())


def speaks_amqp(port: int) -> bool:
    """Return whether a broker answers an AMQP 0.9.1 greeting on the port."""
    try:
        with socket.create_connection((ports.HOST, port), timeout=2) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(3) == b"\x01\x00\x00"  # a method frame on channel 0: Connection.Start
    except OSError:
        return False


def can_log_in(settings: BrokerSettings) -> bool:
    """Log in over the stream protocol and out again."""
    with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own
        return thread.submit(asyncio.run, _log_in(settings)).result()


async def _log_in(settings: BrokerSettings) -> bool:
    producer = Producer(
        settings.host,
        settings.stream_port,
        username=settings.username,
        password=settings.password.get_secret_value(),
        vhost=settings.vhost,
    )
    try:
        async with asyncio.timeout(5):
            await producer.start()
            await producer.close()
    except Exception:  # noqa: BLE001  rstream raises many kinds while a node boots; the caller's deadline decides
        return False
    return True


def _started(child: Child | None) -> Child:
    if child is None:
        raise StartFailed("RabbitMQ was not started")
    return child
