"""Who takes part: ours in three settings, the peers, and the ceiling."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.serving.model import FLOAT, ROOT, Prepared
from benchmarks.serving.server import Start

CORES = os.cpu_count() or 1
PEERS_PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
OURS_FLOAT, OURS_THERE = "ours, the same file in OpenVINO", "ours, the same file in onnxruntime"
OURS_FP32, OURS_FASTEST = "ours, fp32 of its choice", "ours, fastest proved"
PEERS = ("LitServe", "mosec", "BentoML", "ultralytics + FastAPI")
CEILING, CEILING_THERE = "ceiling, the same file in OpenVINO", "ceiling, the same file in onnxruntime"
# Nothing calls home, nothing is looked up.
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1", "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0",
    "NO_ALBUMENTATIONS_UPDATE": "1", "OTEL_SDK_DISABLED": "true", "PYTHONUNBUFFERED": "1",
    "PYTHONPATH": str(ROOT / "libs" / "yolo" / "src"),  # lets torchvision be imported beside any build of torch
}  # fmt: skip


@dataclass(frozen=True)
class Loop:
    """A bare loop: no server, no requests."""

    graph: Path
    loops: int
    threads: int
    runtime: str = "openvino"
    precision: str = "f32"

    def argv(self, images: Path, seconds: float, warm_up_s: float) -> tuple[str, ...]:
        """Return its command."""
        told = {"graph": self.graph, "images": images, "loops": self.loops, "threads": self.threads}
        told |= {"runtime": self.runtime, "precision": self.precision}
        told |= {"seconds": seconds, "warm-up": warm_up_s}
        return (sys.executable, "-m", "benchmarks.serving.bare", *(f"--{name}={value}" for name, value in told.items()))


@dataclass(frozen=True)
class Contestant:
    """Somebody who is measured, at some concurrencies."""

    name: str
    how: Start | Mapping[int, Loop]  # a loop of its own for each concurrency
    concurrencies: tuple[int, ...]


def contestants(prepared: Prepared, concurrencies: tuple[int, ...], folder: Path) -> list[Contestant]:
    """Return everybody, in the order of the table."""
    every = [
        Contestant(OURS_FLOAT, ours(prepared, (FLOAT,), in_runtime("openvino")), concurrencies),
        Contestant(OURS_THERE, ours(prepared, (FLOAT,), in_runtime("onnxruntime")), concurrencies),
        Contestant(OURS_FASTEST, ours(prepared, ()), concurrencies),
        *(Contestant(name, start, concurrencies) for name, start in _peers(prepared, folder).items()),
    ]
    few = tuple(each for each in concurrencies if each in (1, 8)) or concurrencies[-1:]
    every.append(_ceiling(CEILING, Loop(prepared.graph, CORES, 1), few))
    every.append(_ceiling(CEILING_THERE, Loop(prepared.graph, CORES, 1, "onnxruntime"), few))
    quick = next((name for name in prepared.formats if name.startswith(("openvino-bf16", "openvino-int8"))), None)
    if quick:
        loop = Loop(prepared.artifact(quick), CORES, 1, precision="bf16" if "bf16" in quick else "f32")
        every.append(_ceiling(f"ceiling, {quick}", loop, few[-1:]))
    return every


def _ceiling(name: str, loop: Loop, concurrencies: tuple[int, ...]) -> Contestant:
    """A loop for each core; one whose runs take them all where one request at a time is asked."""
    alone = replace(loop, loops=1, threads=CORES)
    return Contestant(name, {each: alone if each == 1 else loop for each in concurrencies}, concurrencies)


def fp32_of(prepared: Prepared) -> tuple[str, ...]:
    """Return the proved formats of full precision."""
    return tuple(name for name in prepared.formats if "-fp32" in name)


def in_runtime(name: str) -> dict[str, str]:
    """Return the setting that keeps ours to one runtime."""
    return {"LABELSTREAM_INFERENCE__RUNTIMES": f'["{name}"]'}


def ours(prepared: Prepared, artifacts: tuple[str, ...], more: Mapping[str, str] | None = None) -> Start:
    """Serve the bundle without a network, as a device does; of these artifacts only, or of all. `more`: settings."""
    argv = (
        sys.executable, "-m", "inference", "--bundle", str(prepared.pulled), "--identity", str(prepared.identity),
        "--trusted-key", str(prepared.trusted_key), "--port", "{port}", "--access", "open",
    )  # fmt: skip
    names = ", ".join(f'"{name}"' for name in artifacts)
    told = {"LABELSTREAM_INFERENCE__ARTIFACTS": f"[{names}]"} if artifacts else {}
    return Start(argv, {"LABELSTREAM_LOG_LEVEL": "warning", **told, **(more or {})}, "/v1/predict")


def _peers(prepared: Prepared, folder: Path) -> dict[str, Start]:
    told = QUIET | {
        "GRAPH": str(prepared.graph), "WORKERS": str(CORES), "PORT": "{port}",
        "BENTOML_HOME": str(folder / "bentoml"), "YOLO_CONFIG_DIR": str(folder / "ultralytics"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "MOSEC_ADDRESS": "127.0.0.1", "MOSEC_PORT": "{port}", "MOSEC_TIMEOUT": "60000",
    }  # fmt: skip
    python, package = str(PEERS_PYTHON), "benchmarks.serving.peers"
    bento = (python, "-m", "bentoml", "serve", f"{package}.bento_service:Detection", "--host", "127.0.0.1")
    return {
        "LitServe": Start((python, "-m", f"{package}.litserve_server"), told, form="request"),
        "mosec": Start((python, "-m", f"{package}.mosec_server"), told, "/inference"),
        "BentoML": Start((*bento, "--port", "{port}"), told, form="image"),
        "ultralytics + FastAPI": Start(
            (python, "-m", f"{package}.ultralytics_server"), told | {"WORKERS": "1"}, form="image"
        ),
    }
