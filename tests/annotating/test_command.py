"""`labelstream annotate` as somebody types it, with everything real behind it."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from .surroundings import Surroundings

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow]

RED, BLUE, DIM = (0, 0, 255), (255, 0, 0), (60, 60, 150)


async def typed(around: Surroundings, *arguments: str, exit_code: int = 0) -> str:
    """Run the command; return what it prints."""
    broker, store = around.broker, around.store
    variables = {
        "LABELSTREAM_URL": f"rabbitmq-stream://{broker.username}:{broker.password.get_secret_value()}"
        f"@127.0.0.1:{broker.stream_port}",
        "LABELSTREAM_BROKER__AMQP_PORT": str(broker.amqp_port),
        "LABELSTREAM_STORE__ENDPOINT_URL": store.endpoint_url,
        "LABELSTREAM_STORE__ACCESS_KEY": store.access_key,
        "LABELSTREAM_STORE__SECRET_KEY": store.secret_key.get_secret_value(),
        "COLUMNS": "160",
    }
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-c", "from labelstream_cli.main import app; app()", "annotate", *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=pipe, stderr=pipe, env={**os.environ, **variables}, cwd=around.folder
    )
    out, errors = await process.communicate()
    assert process.returncode == exit_code, errors.decode()
    return out.decode() + errors.decode() if "--json" not in arguments else out.decode()


async def test_a_folder_is_annotated_from_the_command_line(
    around: Surroundings, inference: Any, draw: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    (folder / "june").mkdir(parents=True)
    (folder / "sure.png").write_bytes(draw((1, 1, RED)))
    (folder / "june" / "unsure.png").write_bytes(draw((1, 1, DIM), (2, 5, BLUE)))
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not looked at")
    async with inference() as (url, _):
        plan = json.loads(await typed(around, str(folder), "--dry-run", "--json", "--inference-url", url))
        assert (plan["images"], plan["model"], plan["skipped"]) == (3, "m1", ["blue"])
        assert await around.messages() == 0
        asked = await typed(around, str(folder), "--no-wait", "--order", "uncertain")
        assert "waiting" in asked
        around.work(url)
        shown = await typed(around, str(folder), "--order", "uncertain", "--ranking", "first.csv")
        assert "finished" in shown
        assert "2 annotations published with 2 boxes" in shown
        assert "1 box of the class 'blue' skipped" in shown
        assert "1 image came to nothing: image.unknown_format" in shown
        assert "  broken.png: " in shown
        with (tmp_path / "first.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [(row["place"], row["file"]) for row in rows] == [("1", "june/unsure.png"), ("2", "sure.png")]
        known = [
            one for one in json.loads(await typed(around, "list", "--json"))["jobs"] if one["source"] == str(folder)
        ]
        assert [(one["state"], one["published"]) for one in known] == [("finished", 2)], "asked twice, done once"
        assert "finished already" in await typed(around, "cancel", known[0]["job"][:6], exit_code=1)
        assert "is over: --again" in await typed(around, str(folder), "--order", "uncertain")
    assert [one.name for one in await around.receipts()] == [row["annotation"] for row in rows]


async def test_a_project_without_a_stream_for_proposals_is_told_at_once(around: Surroundings) -> None:
    assert "no stream 'annotations-ai.harbour'" in await typed(around, ".", "--project", "harbour", exit_code=1)
