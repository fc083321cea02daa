"""labelstream status of services elsewhere: once, on a pipe again and again, and on a terminal as a screen."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelstream_cli.main import app

PATIENCE_S = 60
ENTER, LEAVE, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
ANSWERS = {
    "/readyz": b"""{"ready": true, "waiting": {}, "degraded": {},
        "model": {"default": {"model": "m-7", "promotion": 2}}}""",
    "/metrics": b"""labelstream_build_info{version="1",program="inference"} 1
labelstream_requests_total{route="/v1/predict",method="POST",status="200"} 5
labelstream_queue_waiting 3
labelstream_queue_limit 64
""",
}


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = ANSWERS.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where a service answers, or what looks like one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# Whoever started the tests may ignore SIGINT, as a shell's background job does, and a child inherits that.
MAIN = """
import signal
from labelstream_cli.main import app
signal.signal(signal.SIGINT, signal.default_int_handler)
app()
"""


def command(*told: str) -> list[str]:
    return [sys.executable, "-c", MAIN, "status", *told]


def test_services_elsewhere_are_asked_by_their_addresses(url: str) -> None:
    told = ["--services", f"inference={url}", "--services", "trainer=http://127.0.0.1:1"]
    result = CliRunner().invoke(app, ["status", *told])
    assert result.exit_code == 0, result.output
    said = {line.split()[0]: " ".join(line.split()) for line in result.output.splitlines() if line.strip()}
    assert said["trainer"] == "trainer no answer"
    assert said["model"] == "model default: m-7, promotion 2"
    assert said["dataset"] == "dataset not known: trainer does not answer"
    assert "queue 3 of 64" in result.output


def test_addresses_may_come_from_a_file_and_the_figures_as_json(url: str, tmp_path: Path) -> None:
    file = tmp_path / "services.json"
    file.write_text(json.dumps({"inference": f"{url}/"}))
    result = CliRunner().invoke(app, ["status", "--services", str(file), "--json"])
    assert result.exit_code == 0, result.output
    status = json.loads(result.stdout)
    (stage,) = status["figures"]["stages"]
    assert (stage["program"], stage["ready"], stage["per_s"], stage["done"]) == ("inference", True, 0.0, 5)
    assert status["figures"]["answers"]["limit"] == 64
    assert status["programs"][0]["url"] == url


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["inference=localhost:8080"], "is no address of a service"),
        (["nowhere.json"], "neither NAME=URL nor a file"),
        (["a=http://x", "a=http://y"], "named twice"),
    ],
    ids=["scheme", "file", "twice"],
)
def test_what_is_no_address_is_refused(told: list[str], said: str) -> None:
    given = [word for one in told for word in ("--services", one)]
    result = CliRunner().invoke(app, ["status", *given])
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_file_that_maps_nothing_to_an_address_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "services.json"
    for content in ('["http://x"]', '{"a": 1}', "{"):
        file.write_text(content)
        result = CliRunner().invoke(app, ["status", "--services", str(file)])
        assert result.exit_code == 2
        assert "it should be like" in " ".join(result.output.replace("│", " ").split())


def test_on_a_pipe_it_prints_one_plain_block_after_the_other_until_it_is_interrupted(url: str) -> None:
    told = command("--watch", "--every", "0.2", "--services", f"inference={url}")
    with subprocess.Popen(told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = ""
        while printed.count("queue 3 of 64") < 2:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            printed += line
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, "")
    assert "\x1b" not in printed + rest


def test_with_json_each_line_is_a_status(url: str) -> None:
    told = command("--watch", "--every", "0.2", "--json", "--services", f"inference={url}")
    with subprocess.Popen(told, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = second = json.loads(process.stdout.readline())
        while not second["figures"]["stages"] or second["figures"]["stages"][0]["per_s"] is None:
            second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert first["figures"]["interval_s"] is None
    assert second["figures"]["stages"][0]["per_s"] == 0.0


def test_on_a_terminal_it_is_a_screen_of_its_own_and_leaves_the_terminal_as_it_was(url: str) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    before = termios.tcgetattr(theirs)
    told = command("--watch", "--every", "0.2", "--services", f"inference={url}")
    environment = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(told, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        shown = read_until(ours, lambda text: text.count("queue 3 of 64") >= 2)
        process.send_signal(signal.SIGINT)
        shown += read_until(ours, lambda text: LEAVE in text)
        assert process.wait(PATIENCE_S) == 0
    assert termios.tcgetattr(theirs) == before
    os.close(theirs)
    os.close(ours)
    assert shown.index(ENTER) < shown.index("queue 3 of 64") < shown.index(LEAVE)
    assert shown.rindex(SHOW_CURSOR) > shown.rindex("\x1b[?25l")
    assert "Traceback" not in shown


def read_until(terminal: int, enough) -> str:
    """Read what is drawn until it is enough."""
    drawn, until = "", time.monotonic() + PATIENCE_S
    while not enough(drawn):
        assert time.monotonic() < until, drawn
        if select.select([terminal], [], [], 1.0)[0]:
            drawn += os.read(terminal, 1 << 16).decode(errors="replace")
    return drawn
