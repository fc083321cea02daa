from __future__ import annotations

import asyncio
import io
import json
import math
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from benchmarks.serving.bare import letterbox
from benchmarks.serving.cells import cells
from benchmarks.serving.connection import Connection
from benchmarks.serving.contestants import CEILING, OURS_FASTEST, OURS_FLOAT, Contestant
from benchmarks.serving.load import Aim, closed_loop, in_form, percentile
from benchmarks.serving.pictures import Picture, Pictures, write_windows
from benchmarks.serving.rounds import Measured, Plan, in_turn, run_json, run_rounds
from benchmarks.serving.server import Start, served
from benchmarks.serving.soaking import Soaked, soak
from benchmarks.serving.streamed import Found, differences
from benchmarks.serving.verdicts import table, verdicts
from benchmarks.soak import Look, window
from rich.console import Console

from inference.engine.inputs import as_floats

GOOD = json.dumps({"detections": [{"class": 0}]}).encode()
NOTHING = json.dumps({"detections": []}).encode()
SERVER = """
import http.server, sys
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "25")
        self.end_headers()
        self.wfile.write(b'{"detections":[{"c": 1}]}')
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


@asynccontextmanager
async def answering(*bodies: bytes, status: int = 200) -> AsyncIterator[tuple[Aim, list[bytes]]]:
    """A server that gives these answers in turn and remembers what it was sent."""
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = bodies[len(sent) % len(bodies)]
            sent.append(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    async with server:
        yield Aim("127.0.0.1", server.sockets[0].getsockname()[1], "/predict"), sent


async def test_a_load_counts_what_is_answered_and_asks_about_every_body_in_turn() -> None:
    async with answering(GOOD) as (aim, sent):
        ran = await closed_loop(aim, [b"one", b"two"], 3, 1.0, 0.05)
    seen = ran.summary
    assert seen.errors == 0
    assert 0 < seen.requests == len(ran.finished) < len(sent)  # the warm-up's do not count
    assert seen.per_second == pytest.approx(seen.requests / 1.0)
    assert 0 < seen.p50_ms <= seen.p99_ms <= seen.most_ms
    assert abs(sent.count(b"one") - sent.count(b"two")) <= 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [(NOTHING, 200, "without a detection"), (b"{}", 200, "KeyError"), (GOOD, 503, "status 503")],
    ids=["nothing found", "another answer", "refused"],
)
async def test_an_answer_that_is_not_as_it_should_be_is_an_error(body: bytes, status: int, said: str) -> None:
    async with answering(body, GOOD, status=status) as (aim, _):
        ran = await closed_loop(aim, [b"one"], 1, 1.0, 0)
    assert ran.wrong.total() > 0
    assert any(said in wrong for wrong in ran.wrong)


async def test_a_server_that_is_gone_is_an_error() -> None:
    async with answering(GOOD) as (aim, _):
        pass
    ran = await closed_loop(aim, [b"one"], 2, 1.0, 0)
    assert ran.summary.requests == 0
    assert math.isnan(ran.summary.p99_ms)
    assert "refused" in ran.summary.first_error.lower()


async def test_an_image_may_go_as_a_form() -> None:
    async with answering(GOOD) as (aim, sent):
        await closed_loop(aim.with_form(), [in_form("image", b"JPEG")], 1, 1.0, 0)
    assert b'name="image"; filename=' in sent[0]
    assert b"\r\n\r\nJPEG\r\n--" in sent[0]


async def test_chunks_are_put_together_and_a_connection_can_be_used_again() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        connection = Connection("127.0.0.1", server.sockets[0].getsockname()[1])
        replies = [await connection.ask(b"GET / HTTP/1.1\r\n\r\n") for _ in range(2)]
        connection.close()
    assert [each.body for each in replies] == [b"abcde"] * 2


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(each) for each in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50, 99, 100)
    assert percentile([7.0], 0.99) == 7


async def test_a_round_starts_a_server_loads_it_at_each_concurrency_and_ends_it(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(b"JPEG")
    start = Start((sys.executable, "-c", SERVER, "{port}"))
    told: list[str] = []
    contestant = Contestant("tiny", start, (1, 2))
    measured = await run_rounds([contestant], tmp_path, Plan(1, 0.8), tmp_path, told.append)
    assert [(each.concurrency, each.errors) for each in measured] == [(1, 0), (2, 0)]
    assert all(each.per_second > 0 and each.pss_bytes > 1 << 20 for each in measured)
    assert ["1 at once: tiny " in told[0], "2 at once: tiny " in told[1]] == [True, True]


async def test_a_server_that_does_not_come_up_is_said_with_what_it_wrote(tmp_path: Path) -> None:
    start = Start((sys.executable, "-c", "raise SystemExit('no such graph')"))
    with pytest.raises(SystemExit, match="no such graph"):
        async with served("tiny", start, b"JPEG", tmp_path):
            pass


async def test_a_program_that_fails_is_named() -> None:
    with pytest.raises(SystemExit, match="ended with 3"):
        await run_json([sys.executable, "-c", "raise SystemExit(3)"])


def test_everybody_has_a_turn_in_every_round_and_another_one_begins() -> None:
    every = [Contestant(name, {}, (1,)) for name in "abcde"]
    orders = ["".join(each.name for each in in_turn(every, number)) for number in range(1, 6)]
    assert {"".join(sorted(order)) for order in orders} == {"abcde"}
    assert len({order[0] for order in orders}) > 2


def one(number: int, name: str, concurrency: int, rate: float, p99: float) -> Measured:
    return Measured(number, name, concurrency, rate, p99 / 2, p99, 100, 0, pss_bytes=300 << 20)


def test_ours_is_held_beside_the_ceiling_and_the_peer_that_is_best_over_all_rounds() -> None:
    rounds = [(40, 38, 20, 42), (30, 20, 29, 60), (36, 36, 30, 40)]
    measured = []
    for number, (ours, mosec, litserve, ceiling) in enumerate(rounds):
        measured += [one(number, OURS_FLOAT, 8, ours, 200), one(number, OURS_FASTEST, 8, 2 * ours, 100)]
        measured += [one(number, "mosec", 8, mosec, 190), one(number, "LitServe", 8, litserve, 400)]
        measured += [one(number, CEILING, 8, ceiling, 50)]
    found = {each.what: each for each in verdicts(measured)}
    assert found["same file: rate / ceiling's, 8 at once"].ratio.least == pytest.approx(0.5)
    assert found["same file: rate / best peer's (mosec), 8 at once"].ratio.median == pytest.approx(40 / 38)
    assert not found["same file: p99 / best peer's (mosec), 8 at once"].met  # 200 ms against 190
    assert found["fastest proved: rate / best peer's (mosec), 8 at once"].met
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table("Servers", measured))
    assert "mosec" in console.export_text()


def test_windows_are_cut_from_opposite_corners_with_the_boxes_that_can_be_seen(tmp_path: Path) -> None:
    boxes = np.array([[1, 10, 20, 60, 70], [0, 570, 570, 630, 630], [0, 300, 10, 400, 40]], float)  # the last: a fifth
    picture = Picture("p", "train", cells(".jpg", times=10), boxes)
    folder = write_windows(Pictures("a test", ("red", "blue"), (picture,)), tmp_path / "out")
    labels = {path.name: path.read_text() for path in (folder / "train" / "labels").iterdir()}
    assert labels == {
        "p-0.txt": "1 0.109375 0.140625 0.156250 0.156250\n",
        "p-1.txt": "0 0.875000 0.875000 0.187500 0.187500\n",
    }


@pytest.mark.parametrize(("width", "height"), [(640, 480), (333, 517), (1280, 720)])
def test_the_bare_loop_gives_the_network_what_ours_gives_it(width: int, height: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8)
    square, _ = letterbox(pixels)
    np.testing.assert_allclose(square[0], as_floats(pixels, 640).tensor, atol=1e-6)


def found(*rows: tuple[int, float, tuple[float, ...]]) -> Found:
    return Found.of(rows)


@pytest.mark.parametrize(
    ("mine", "other", "said"),
    [
        (found((0, 0.9, (1, 1, 9, 9))), found((0, 0.905, (1.5, 1, 9, 9))), 0),
        (found((0, 0.255, (1, 1, 9, 9))), found(), 0),
        (found((0, 0.9, (1, 1, 9, 9))), found(), 1),
        (found(), found((0, 0.9, (1, 1, 9, 9))), 1),
        (found((0, 0.9, (1, 1, 9, 9))), found((1, 0.9, (1, 1, 9, 9))), 2),
        (found((0, 0.9, (1, 1, 9, 9))), found((0, 0.7, (1, 1, 9, 9))), 1),
    ],
    ids=["near", "at the threshold", "missing", "extra", "another class", "another score"],
)
def test_detections_of_two_sides_are_the_same_within_a_pixel_and_a_hundredth(
    mine: Found, other: Found, said: int
) -> None:
    assert len(differences(mine, other)) == said


def test_a_window_is_the_medians_of_one_fifth_of_the_requests() -> None:
    looks = [Look(requests, requests * 10, 20, 8) for requests in range(0, 1001, 10)]
    assert window(looks, 1) == Look(300, 3000, 20, 8)
    assert window(looks, 4).memory_bytes == 9000


@pytest.mark.slow
async def test_a_short_soak_of_a_whole_replica_has_no_wrong_answer(tmp_path: Path) -> None:
    argv = (sys.executable, "-m", "benchmarks.serving.replica", "--port", "{port}", "--folder", str(tmp_path))
    soaked = Soaked()
    async with served("soak", Start((*argv, "--swap-every=1"), path="/v1/predict"), cells(".jpg"), tmp_path) as server:
        await soak(server.port, 150, soaked)
    assert soaked.total == 150
    assert not soaked.wrong
    assert len(soaked.asked) > 8


async def test_a_wrong_answer_is_counted_with_the_kind_of_request() -> None:
    async with answering(GOOD) as (aim, _):
        soaked = Soaked()
        await soak(aim.port, 30, soaked)
    assert any(wrong.startswith("bytes: ") for wrong in soaked.wrong)
