"""The reference stack: one for the session, which went through one undisturbed course."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from labelstream_local.stack import Stack, down, up

from .course import Course, options, undisturbed
from .watching import Onlooker, onlooker


@dataclass(frozen=True)
class Reference:
    """A running stack whose model answers, and how it came to it."""

    stack: Stack
    course: Course


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """The stack that the tests share: each leaves it serving a model, and validates too little for a new training."""
    directory = tmp_path_factory.mktemp("reference")
    try:
        stack = up(directory / "stack", options(directory))
        yield Reference(stack, asyncio.run(_course(stack)))
    finally:
        down(directory / "stack")


async def _course(stack: Stack) -> Course:
    async with onlooker(stack) as see:
        return await undisturbed(see)


@pytest_asyncio.fixture
async def see(reference: Reference) -> AsyncIterator[Onlooker]:
    """Look at the reference stack."""
    async with onlooker(reference.stack) as looking:
        yield looking
