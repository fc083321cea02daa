"""The process supervisor (supervisord): its configuration, and talking to it over a unix socket."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from labelstream_local.layout import Layout
from labelstream_local.process import Command, StartFailed, environment_of
from labelstream_local.secret_files import write_private

# rpcinterface_factory names a function of supervisord's own.
_SUPERVISORD = """\
; Written by `labelstream up`; holds no secret.
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={logs}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
loglevel=info
pidfile={root}/supervisord.pid
childlogdir={logs}
directory={root}
umask=077
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
# supervisord hears its programs through pipes; when it is killed, what prints into a broken pipe may die of that. A
# program that shall not, prints into its log itself. Nobody rotates such a log: this is for programs that print little.
_JOINED_TO_ITS_LOG = ("/bin/sh", "-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh")
# A supervisor that gives up is of no use here, so the retries are as good as unlimited.
_PROGRAM = """
[program:{name}]
command={command}
directory={directory}
environment={environment}
priority={priority}
autostart={autostart}
autorestart=true
startsecs=2
startretries=1000000
stopwaitsecs=40
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


@dataclass(frozen=True)
class Program:
    """A command that supervisord keeps running."""

    command: Command
    priority: int  # the lowest starts first and stops last
    autostart: bool
    writes_its_log: bool = False  # prints into its log file itself, not through supervisord


@dataclass(frozen=True)
class ProcessState:
    """What supervisord knows of a program."""

    name: str
    state: str  # RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL…
    pid: int | None
    started_at: float
    ended_at: float  # when it last ended; 0 when it never did


class Supervisor:
    """One supervisord."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def configure(self, programs: Iterable[Program]) -> None:
        """Write the configuration. Raises StartFailed when the directory has a name that can't be used."""
        if "%" in str(self._layout.root):
            raise StartFailed(f"a stack can't live in {self._layout.root}: supervisord trips over the %")
        user = "user=root\n" if os.geteuid() == 0 else ""  # said on purpose, or supervisord complains
        head = _SUPERVISORD.format(
            socket=_plain(self._layout.supervisor_socket),
            logs=_plain(self._layout.logs),
            root=_plain(self._layout.root),
            user=user,
        )
        sections = (self._section(program) for program in programs)
        write_private(self._layout.supervisor_config, head + "".join(sections))

    def start(self) -> None:
        """Start supervisord in the background. Raises StartFailed."""
        argv = (sys.executable, "-m", "supervisor.supervisord", "-c", str(self._layout.supervisor_config))
        command = Command("supervisord", argv, self._layout.root)
        done = subprocess.run(  # noqa: S603  the command is ours
            argv,
            env=environment_of(command, self._layout.mark),
            cwd=self._layout.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StartFailed(f"supervisord did not start: {done.stdout}{done.stderr}")

    def start_program(self, name: str) -> None:
        """Start a program unless it runs already; don't wait for it."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise

    def stop_program(self, name: str) -> None:
        """Ask a program to stop; don't wait for it."""
        try:
            self._call("stopProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.NOT_RUNNING:
                raise

    def processes(self) -> dict[str, ProcessState]:
        """Return the state of each program; none when supervisord is away or about to end."""
        rows = self._asked("getAllProcessInfo") or []
        return {row["name"]: _state_of(row) for row in rows}

    def addresses(self) -> dict[str, str]:
        """Return the programs that answer elsewhere than they did when they were first found: none."""
        return {}

    @property
    def pid(self) -> int | None:
        """Supervisord's process id; None when it is away or about to end."""
        pid: int | None = self._asked("getPID")
        return pid

    @property
    def ended(self) -> bool:
        """Whether nobody listens on the socket any more."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._layout.supervisor_socket)) != 0

    def shutdown(self) -> None:
        """Ask supervisord to stop everything and then itself."""
        self._asked("shutdown")

    def _asked(self, question: str) -> Any:
        try:
            return self._call(question)
        except (OSError, HTTPException):
            return None
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.SHUTDOWN_STATE:
                raise
            return None

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._layout.supervisor_socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        return getattr(proxy.supervisor, method)(*arguments)

    def _section(self, program: Program) -> str:
        command = program.command
        log = self._layout.log(command.name)
        argv = (*_JOINED_TO_ITS_LOG, str(log), *command.argv) if program.writes_its_log else command.argv
        variables = (f"{name}={_quoted(value)}" for name, value in sorted(command.environment.items()))
        return _PROGRAM.format(
            name=command.name,
            command=_plain(shlex.join(argv)),
            directory=_plain(command.directory),
            environment=",".join(variables),
            priority=program.priority,
            autostart=str(program.autostart).lower(),
            log="NONE" if program.writes_its_log else _plain(log),
        )


def _state_of(row: dict[str, Any]) -> ProcessState:
    return ProcessState(row["name"], row["statename"], row["pid"] or None, row["start"], row["stop"])


def _plain(value: object) -> str:
    text = str(value)
    if "\n" in text or " ;" in text or " #" in text:
        raise ValueError(f"supervisord can't be told {text!r}: it would read a part of it as a comment")
    return text.replace("%", "%%")


def _quoted(value: str) -> str:
    quote = "'" if '"' in value else '"'
    if quote in value:
        raise ValueError(f"supervisord can't be told {value!r}: it holds both kinds of quotes")
    return f"{quote}{_plain(value)}{quote}"
