"""Networks for the NPU, built and simulated by RKNN's own toolkit; skipped where it is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter.engine.contract import ExportSpec
from exporter.engine.process import run_export

PYTHON = Path(__file__).parents[4] / ".venv" / "rknn" / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="RKNN's toolkit is not installed; `make test-rknn` installs it"),
]


@pytest.fixture
def asked(learned_spec) -> ExportSpec:
    return learned_spec.model_copy(update={"rknn_python": PYTHON})


@pytest.mark.parametrize(
    ("precision", "most_px", "most_score"), [("fp16", 1.0, 0.01), ("int8", 6.0, 0.15)], ids=["fp16", "int8"]
)
async def test_a_network_for_the_npu_agrees_with_its_weights(asked, precision, most_px, most_score):
    result = await run_export(asked.model_copy(update={"format": f"rknn-{precision}-rk3588"}))

    agreement = result.facts.agreement
    print(f"\n{result.facts.name}: {agreement.model_dump_json()}")  # noqa: T201  # the figures are wanted
    assert agreement.images == 16
    assert agreement.boxes >= 24
    assert 0 < agreement.max_box_px <= most_px
    assert 0 < agreement.max_score <= most_score
    assert agreement.unmatched <= 0.02 * agreement.boxes
    assert agreement.trained_map50 > 0.7
    assert agreement.trained_map50_95 - agreement.map50_95 < 0.01
    assert result.artifact.read_bytes().startswith(b"RKNN")
    assert still_there(asked.out_dir) == []


async def test_the_facts_say_how_the_network_is_to_be_read(asked):
    facts = (await run_export(asked.model_copy(update={"format": "rknn-int8-rk3588"}))).facts
    assert (facts.name, facts.format, facts.target) == ("rknn-int8-rk3588", "rknn", "rk3588")
    assert (facts.input, facts.output, facts.batch, facts.packed) == ("uint8-nhwc-rgb", "raw-yolo-split", 1, "plain")
    assert facts.calibration.images == 32
    assert facts.versions["rknn-toolkit2"] == "2.3.2"


def test_the_toolkit_dies_with_the_export(asked):
    asked.out_dir.mkdir()
    spec = asked.out_dir / "spec.json"
    spec.write_text(asked.model_copy(update={"format": "rknn-fp16-rk3588"}).model_dump_json())
    with (asked.out_dir / "log").open("wb") as log:
        engine = subprocess.Popen([sys.executable, "-m", "exporter.engine", spec], stdout=log, stderr=log)
    wait_until(lambda: still_there(asked.out_dir) or engine.poll() is not None)
    assert still_there(asked.out_dir)
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    wait_until(lambda: not still_there(asked.out_dir))


def still_there(folder: Path) -> list[int]:
    """Return the processes of the toolkit that work in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_text()
            except OSError:  # it ended meanwhile
                continue
            if "rknn_program.py" in line and str(folder) in line:
                found.append(int(entry.name))
    return found


def wait_until(reached, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)
