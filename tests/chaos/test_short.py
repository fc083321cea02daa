"""The whole course in short: a minute of faults at annotation-ingest and augmenter, on a real broker and store.

It takes three minutes: `CHAOS=1` runs it (`make chaos`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from chaos.running import PAGE, PICTURE, REPORT, Told, run

pytestmark = [pytest.mark.broker, pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(900)]

SEED = 7
AT_LENGTH = os.environ.get("CHAOS", "0") != "0"


@pytest.mark.skipif(not AT_LENGTH, reason="it takes three minutes: say CHAOS=1")
async def test_a_minute_of_faults_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    told = Told(minutes=1, seed=SEED, folder=tmp_path / "chaos", trains=False)
    report = await run(told, lambda line: sys.stderr.write(f"{line}\n"))
    assert report.course.evidence.wrong == {}
    assert len(report.course.diary.done) >= 2
    assert len(report.course.producing.receipts) == len(report.course.producing.sent) > 50
    assert report.compared.dataset
    assert (told.folder / REPORT).exists()
    assert all(str(one.fault) in (told.folder / PAGE).read_text() for one in report.course.diary.done)
    assert (told.folder / PICTURE).exists()
    assert not (told.folder / "stack").exists()
