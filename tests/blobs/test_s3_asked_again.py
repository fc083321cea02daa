"""What the quick client does not settle is settled by boto3: one call, two attempts, and the same answer as ever."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from labelstream.blobs.s3 import S3Blobs
from labelstream.errors import Unavailable
from labelstream.service.health import Health
from labelstream.service.settings import StoreSettings

ETAG = '"an-etag"'


@dataclass
class Sick:
    """A store that answers its first requests with `failing` (a status, or "cut": half of a body), then is well."""

    failing: list[int | str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # who asked: the user agents' names
    server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Sick:
        sick = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sick.asked.append(self.headers["User-Agent"].partition("/")[0].lower())
                answer = sick.failing.pop(0) if sick.failing else 200
                self.send_response(200 if answer == "cut" else int(answer))
                for name, value in (("ETag", ETAG), ("Last-Modified", "Wed, 21 Oct 2026 07:28:00 GMT")):
                    self.send_header(name, value)
                body = b"" if self.command == "PUT" else b"the whole body"
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:3] if answer == "cut" else body)
                self.close_connection = answer == "cut"

            def do_PUT(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()

    @property
    def settings(self) -> StoreSettings:
        assert self.server is not None
        url = f"http://127.0.0.1:{self.server.server_port}"
        return StoreSettings(endpoint_url=url, access_key="key", secret_key=SecretStr("secret"))


@pytest.fixture
def sick() -> Iterator[Sick]:
    with Sick() as sick:
        yield sick


@pytest_asyncio.fixture
async def blobs(sick: Sick) -> AsyncIterator[S3Blobs]:
    store = S3Blobs(sick.settings, "bucket", Health())
    yield store
    await store.close()


async def test_what_goes_well_is_asked_once(sick: Sick, blobs: S3Blobs) -> None:
    await blobs.put("a", b"1")
    await blobs.create("a", b"1")
    await blobs.replace("a", b"1", ETAG)
    await blobs.get("a")

    assert sick.asked == ["object_store"] * 4


@pytest.mark.parametrize("failure", [500, 503, 429, "cut"])
async def test_a_read_that_failed_once_goes_through(sick: Sick, blobs: S3Blobs, failure: int | str) -> None:
    sick.failing = [failure]

    assert (await blobs.get("a")).data == b"the whole body"
    assert sick.asked == ["object_store", "boto3"]


@pytest.mark.parametrize("failure", [500, 503, 429, 400])
async def test_a_write_that_failed_once_goes_through(sick: Sick, blobs: S3Blobs, failure: int) -> None:
    sick.failing = [failure]

    assert await blobs.create("a", b"1") == ETAG
    assert sick.asked == ["object_store", "boto3"]


async def test_a_store_that_goes_on_failing_is_unavailable(sick: Sick, blobs: S3Blobs) -> None:
    sick.failing = [503] * 10

    with pytest.raises(Unavailable, match="503"):
        await blobs.put("a", b"1")


async def test_a_refused_condition_is_not_asked_again(sick: Sick, blobs: S3Blobs) -> None:
    sick.failing = [412]

    assert await blobs.create("a", b"1") is None
    assert sick.asked == ["object_store"]


async def test_a_key_whose_slashes_the_quick_client_would_drop_goes_to_boto3(sick: Sick, blobs: S3Blobs) -> None:
    for key in ("folder/", "/rooted", "a//b", "a/../b"):
        await blobs.put(key, b"1")

    assert set(sick.asked) == {"boto3"}


async def test_the_environments_aws_variables_lead_nowhere_else(sick: Sick, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_SESSION_TOKEN": "another's",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():
        monkeypatch.setenv(name, value)
    store = S3Blobs(sick.settings, "bucket", Health())

    await store.put("a", b"1")

    assert sick.asked == ["object_store"]
    await store.close()


def test_one_bucket_serves_one_event_loop_after_another(sick: Sick) -> None:
    store = S3Blobs(sick.settings, "bucket", Health())

    for _ in range(2):
        assert asyncio.run(store.get("a")).data == b"the whole body"
    asyncio.run(store.close())


async def test_a_cancelled_call_disturbs_no_other(sick: Sick, blobs: S3Blobs) -> None:
    calls = [asyncio.create_task(blobs.get(f"{n}")) for n in range(40)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()

    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
    assert {outcome.data for outcome in outcomes[1::2] if not isinstance(outcome, BaseException)} == {b"the whole body"}
    assert (await blobs.get("after")).data == b"the whole body"


async def test_calls_under_way_end_when_the_bucket_is_closed(sick: Sick) -> None:
    store = S3Blobs(sick.settings, "bucket", Health())
    calls = [asyncio.create_task(store.get(f"{n}")) for n in range(40)]
    await asyncio.sleep(0)
    await store.close()

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(o, asyncio.CancelledError) or not isinstance(o, BaseException) for o in outcomes)


async def test_a_forked_child_opens_its_own_bucket_and_is_told_when_it_does_not(sick: Sick, blobs: S3Blobs) -> None:
    await blobs.get("a")  # so that there are threads and connections that a fork does not copy

    child = multiprocessing.get_context("fork").Process(target=_in_a_fork, args=(blobs, sick.settings), daemon=True)
    child.start()
    await asyncio.to_thread(child.join, 60)

    assert child.exitcode == 0
    assert (await blobs.get("a")).data == b"the whole body"


def _in_a_fork(inherited: S3Blobs, settings: StoreSettings) -> None:
    async def use(store: S3Blobs) -> Any:
        return (await store.get("a")).data

    with pytest.raises(RuntimeError, match="forked"):
        asyncio.run(use(inherited))
    assert asyncio.run(use(S3Blobs(settings, "bucket", Health()))) == b"the whole body"
