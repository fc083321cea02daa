"""A gigabyte is sealed in constant memory, and opened in its own size: measured in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

GIGABYTE = 1 << 30
MEGABYTE = 1 << 20

_BEGIN = """
import json, sys
from pathlib import Path
from labelstream.protection.bundling import PlainArtifact, verify_bundle, write_bundle
from labelstream.bundle import ArtifactFacts, GoldenSet, ManifestFacts

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))

told = json.loads(sys.argv[1])
before = peak()
"""
_SEAL = """
facts = ManifestFacts.model_validate(told["facts"])
artifact = PlainArtifact(ArtifactFacts.model_validate(told["artifact"]), Path(told["plain"]))
golden = GoldenSet(images=(), max_box_px=1, max_score=0.01)
write_bundle(Path(told["bundle"]), facts, [artifact], golden, Path(told["private"]), told["identity"])
print(json.dumps({"before": before, "peak": peak()}))
"""
_OPEN = """
opened = verify_bundle(Path(told["bundle"]), [Path(told["public"])]).open(told["identity"])
size = len(opened.artifacts["onnx-fp32"])
print(json.dumps({"before": before, "peak": peak(), "size": size}))
"""


def child(program: str, told: dict[str, object]) -> dict[str, int]:
    ran = subprocess.run([sys.executable, "-c", program, json.dumps(told)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_gigabyte_is_sealed_in_constant_memory_and_opened_in_its_size(tmp_path: Path, key, write):
    pattern = write("pattern")  # what a manifest says, and a model's key
    plain = tmp_path / "plain"
    with plain.open("wb") as file:
        file.truncate(GIGABYTE)
    artifact = pattern.manifest.artifacts[0].model_dump(mode="json")
    told = {
        "facts": pattern.manifest.model_dump(mode="json"),
        "artifact": artifact,
        "plain": str(plain),
        "bundle": str(tmp_path / "bundle"),
        "private": str(key.private),
        "public": str(key.public),
        "identity": pattern.key.identity,
    }
    sealing = child(_BEGIN + _SEAL, told)
    assert (tmp_path / "bundle" / "onnx-fp32.age").stat().st_size > GIGABYTE
    opening = child(_BEGIN + _OPEN, told)
    (tmp_path / "bundle" / "onnx-fp32.age").unlink()  # the disk is needed
    assert opening["size"] == GIGABYTE
    assert sealing["peak"] - sealing["before"] < 64 * MEGABYTE
    assert opening["peak"] - opening["before"] < GIGABYTE + 100 * MEGABYTE
