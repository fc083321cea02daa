"""The reference stack: one for the session, which went through one undisturbed course."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from labelstream.service.settings import TracingSettings
from labelstream.service.tracing import tracing
from labelstream_local.process import StartFailed
from labelstream_local.prometheus import find_prometheus
from labelstream_local.scrapes import Scrape, scrape
from labelstream_local.services import NAMES
from labelstream_local.stack import Options, Stack, down, up

from ..tracing.collector import Collector, collecting  # noqa: TID252  # tests are no package with a name
from .course import Course, options, undisturbed
from .watching import Onlooker, onlooker


@dataclass(frozen=True)
class Reference:
    """A running stack whose model answers, and how it came to it."""

    stack: Stack
    course: Course
    inference: Scrape  # what it said when its first model had just begun to answer
    collector: Collector  # which the services and the course's producer, `platform`, tell what they do


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """The stack that the tests share: each leaves it serving a model, and validates too little for a new training."""
    directory = tmp_path_factory.mktemp("reference")
    with collecting() as collector:
        try:
            told = replace(_traced(options(directory), collector), observability=_can_be_watched(), patience=0.02)
            stack = up(directory / "stack", told)
            with tracing(TracingSettings(endpoint=collector.endpoint), "platform"):
                course = asyncio.run(_course(stack))
            yield Reference(stack, course, _scraped(stack.url("inference")), collector)
        finally:
            down(directory / "stack")


def _scraped(url: str) -> Scrape:
    for _ in range(10):  # a busy machine may be too late
        if (seen := scrape(url)).report is not None and seen.samples:
            return seen
    raise AssertionError(f"{url} does not answer")


def _traced(untraced: Options, collector: Collector) -> Options:
    endpoint = {"LABELSTREAM_TRACING__ENDPOINT": collector.endpoint}
    return replace(untraced, told={name: {**untraced.told.get(name, {}), **endpoint} for name in NAMES})


def _can_be_watched() -> bool:
    try:
        find_prometheus()
    except StartFailed:
        return False
    return True


async def _course(stack: Stack) -> Course:
    async with onlooker(stack) as see:
        return await undisturbed(see)


@pytest_asyncio.fixture
async def see(reference: Reference) -> AsyncIterator[Onlooker]:
    """Look at the reference stack."""
    async with onlooker(reference.stack) as looking:
        yield looking
