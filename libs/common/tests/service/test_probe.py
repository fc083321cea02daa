import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import labelstream.service.probe
from labelstream.service.health import Health
from labelstream.service.probe import main, problem_at


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """A service that answers everything alike; yields its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def report_of(*waiting: str) -> bytes:
    health = Health()
    for what in waiting:
        health.waiting(what, "it is away")
    return json.dumps(health.report()).encode()


def test_a_service_that_answers_200_is_well() -> None:
    with answering(200, b"ok") as port:
        assert problem_at(port, "/healthz") is None


def test_a_service_that_waits_for_something_is_not_ready_and_says_for_what() -> None:
    with answering(503, report_of("broker")) as port:
        assert problem_at(port, "/readyz") == "waits for broker: it is away"


def test_a_service_that_waits_only_for_what_it_may_lack_is_ready() -> None:
    with answering(503, report_of("model of default")) as port:
        assert problem_at(port, "/readyz", ("model",)) is None


def test_what_else_is_awaited_counts_although_something_may_be_lacking() -> None:
    with answering(503, report_of("model of default", "broker")) as port:
        assert problem_at(port, "/readyz", ("model",)) == "waits for broker: it is away"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"oh"),
        (503, b"<html>"),
        (503, b"{}"),
        (503, b"[]"),
        (503, b'{"waiting": {}}'),
        (503, b'{"waiting": {"a": 1}}'),
    ],
    ids=["fault", "no JSON", "no report", "a list", "waits for nothing", "no reasons"],
)
def test_any_other_answer_is_a_problem(status: int, body: bytes) -> None:
    with answering(status, body) as port:
        assert problem_at(port, "/readyz", ("model",)) == f"answered {status}"


def test_a_port_where_nobody_answers_is_a_problem() -> None:
    with answering(200, b"ok") as port:
        pass
    assert "no answer on port" in str(problem_at(port, "/healthz"))


def test_the_exit_code_and_one_line_tell_docker(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(503, report_of("broker")) as port:
        monkeypatch.setenv("LABELSTREAM_HTTP_PORT", str(port))
        assert main(["/readyz"]) == 1
        assert main(["/readyz", "--but", "bro"]) == 0
    assert capsys.readouterr().err == "/readyz: waits for broker: it is away\n"


def test_the_whole_answer_can_be_read_also_when_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    health = Health()
    health.degraded("mirror", "nobody answers there")
    with answering(200, json.dumps(health.report()).encode()) as port:
        monkeypatch.setenv("LABELSTREAM_HTTP_PORT", str(port))
        assert main(["/readyz"]) == 0
        assert capsys.readouterr().out == ""
        assert main(["/readyz", "--tell"]) == 0
    assert json.loads(capsys.readouterr().out)["degraded"] == {"mirror": "nobody answers there"}


def test_a_port_that_is_no_number_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LABELSTREAM_HTTP_PORT", "http")
    assert main([]) == 1
    assert "LABELSTREAM_HTTP_PORT is no number" in capsys.readouterr().err


def test_it_needs_the_standard_library_alone() -> None:
    source = Path(labelstream.service.probe.__file__).parents[2]
    code = "import sys; from labelstream.service.probe import main; sys.exit(main(['--help']))"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
