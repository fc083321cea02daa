"""What a model answers without the stack: its bundle is pulled and served by a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from chaos.asking import Answer, Found, Question
from chaos.calling import call
from chaos.judges.answers import Place
from labelstream.client import AsyncClient, Retries
from labelstream_local.asking import get
from labelstream_local.ports import HOST, choose
from labelstream_local.process import Child, Command, StartFailed, last_lines, wait_until
from labelstream_local.secrets_store import DEVICE_IDENTITY, VERIFYING_KEY
from labelstream_local.stack import Stack

UP_WITHIN_S = 120.0


async def offline(
    stack: Stack, images: Sequence[bytes], questions: Iterable[Question], folder: Path
) -> dict[Place, tuple[Found, ...]]:
    """Return the offline answer to each question that was answered. Raises CallFailed, StartFailed."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for question in questions:
        if question.answer is not None:
            wanted.setdefault((question.answer.model, question.answer.artifact), set()).add(question.image)
    answers: dict[Place, tuple[Found, ...]] = {}
    for (model, artifact), numbers in wanted.items():
        bundle = folder / model[:16]
        if not bundle.exists():
            await call(stack.layout.root, "models", "pull", model, "--to", str(bundle), "--json")
        async with _served(stack, bundle, artifact) as client:
            for number in sorted(numbers):
                said = Answer.of(await client.predict(images[number]))
                answers[model, artifact, number] = said.found
    return answers


@asynccontextmanager
async def _served(stack: Stack, bundle: Path, artifact: str) -> AsyncIterator[AsyncClient]:
    port = choose(1)[0]
    secrets = stack.secrets
    argv = (
        sys.executable, "-m", "inference", "--bundle", str(bundle), "--identity", str(secrets.path(DEVICE_IDENTITY)),
        "--trusted-key", str(secrets.path(VERIFYING_KEY)), "--access", "open", "--port", str(port),
    )  # fmt: skip
    told = {"LABELSTREAM_INFERENCE__ARTIFACTS": json.dumps([artifact])}
    command = Command("offline", argv, Path.cwd(), told)
    log = bundle.with_suffix(".log")
    child = Child(command, f"offline of {os.getpid()}", log)
    child.start()
    url = f"http://{HOST}:{port}"
    try:
        if not await asyncio.to_thread(wait_until, lambda: _is_ready(url), lambda: child.running, UP_WITHIN_S, 0.2):
            raise StartFailed(f"the bundle {bundle} was not served:\n{last_lines(log)}")
        async with AsyncClient(url, retries=Retries()) as client:
            yield client
    finally:
        await asyncio.to_thread(child.stop)


def _is_ready(url: str) -> bool:
    try:
        return get(f"{url}/readyz").is_success
    except httpx.HTTPError:
        return False
