"""Who takes part: ours in three settings, the peers, and the ceiling."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.model import FLOAT, ROOT, Prepared
from benchmarks.serving.server import Start

CORES = os.cpu_count() or 1
PEERS_PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
OURS_FLOAT, OURS_FP32, OURS_FASTEST = "ours, the same file", "ours, fp32 of its choice", "ours, fastest proved"
PEERS = ("LitServe", "mosec", "BentoML", "ultralytics + FastAPI")
CEILING = "ceiling, the same file"
FULL = "openvino-fp32-u8"  # of full precision, what is fastest on a CPU
CEILING_FP32 = f"ceiling, {FULL}"
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
    precision: str = "f32"

    def argv(self, images: Path, seconds: float, warm_up_s: float) -> tuple[str, ...]:
        """Return its command."""
        told = {"graph": self.graph, "images": images, "loops": self.loops, "threads": self.threads}
        told |= {"precision": self.precision, "seconds": seconds, "warm-up": warm_up_s}
        return (sys.executable, "-m", "benchmarks.serving.bare", *(f"--{name}={value}" for name, value in told.items()))


@dataclass(frozen=True)
class Contestant:
    """Somebody who is measured, at some concurrencies."""

    name: str
    how: Start | Mapping[int, Loop]  # a loop of its own for each concurrency
    concurrencies: tuple[int, ...]


def contestants(prepared: Prepared, concurrencies: tuple[int, ...], folder: Path) -> list[Contestant]:
    """Return everybody, in the order of the table."""
    middle = tuple(each for each in concurrencies if each == 8) or concurrencies[-1:]
    every = [
        Contestant(OURS_FLOAT, ours(prepared, (FLOAT,)), concurrencies),
        Contestant(OURS_FP32, ours(prepared, fp32_of(prepared)), concurrencies),
        Contestant(OURS_FASTEST, ours(prepared, ()), concurrencies),
        *(Contestant(name, start, concurrencies) for name, start in _peers(prepared, folder).items()),
    ]
    several = Loop(prepared.graph, CORES, 1)
    alone = Loop(prepared.graph, 1, CORES)
    loops = {each: alone if each == 1 else several for each in concurrencies if each in (1, 8)} or {
        concurrencies[-1]: several
    }
    every.append(Contestant(CEILING, loops, tuple(loops)))
    if FULL in prepared.formats:
        every.append(Contestant(CEILING_FP32, dict.fromkeys(middle, Loop(prepared.artifact(FULL), CORES, 1)), middle))
    quick = next((name for name in prepared.formats if name.startswith(("openvino-bf16", "openvino-int8"))), None)
    if quick:
        loop = Loop(prepared.artifact(quick), CORES, 1, "bf16" if "bf16" in quick else "f32")
        every.append(Contestant(f"ceiling, {quick}", dict.fromkeys(middle, loop), middle))
    return every


def fp32_of(prepared: Prepared) -> tuple[str, ...]:
    """Return the proved formats of full precision."""
    return tuple(name for name in prepared.formats if "-fp32" in name)


def ours(prepared: Prepared, artifacts: tuple[str, ...]) -> Start:
    """Serve the bundle without a network, as a device does; of these artifacts only, or of all."""
    argv = (
        sys.executable, "-m", "inference", "--bundle", str(prepared.pulled), "--identity", str(prepared.identity),
        "--trusted-key", str(prepared.trusted_key), "--port", "{port}", "--access", "open",
    )  # fmt: skip
    names = ", ".join(f'"{name}"' for name in artifacts)
    told = {"LABELSTREAM_INFERENCE__ARTIFACTS": f"[{names}]"} if artifacts else {}
    return Start(argv, {"LABELSTREAM_LOG_LEVEL": "warning", **told}, "/v1/predict")


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
