"""Builds a network for an NPU and simulates it: `python -I rknn_program.py ORDER.json`, in RKNN's own environment.

The order is JSON: graph (ONNX), boxes and scores (the tensors to end at), in_float16 (pairs of tensors between which
nothing is computed in eight bits), calibration (squares as .npy; none: nothing at all is), target, artifact.

What was built is said on standard output, then each message on standard input, a square as .npy (1, side, side, 3)
uint8 RGB, is answered by boxes (1, 4, n) and scores (1, classes, n) as .npz. A message is its length in eight bytes and
its content. The toolkit simulates only what it built in the same process; the process ends with its input.

This file runs on the standard library, numpy and the toolkit alone.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import io
import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

PARENT = "LABELSTREAM_ENGINE_PARENT"  # the process to die with
_PR_SET_PDEATHSIG = 1
LENGTH = struct.Struct(">Q")


def main(order_path: Path) -> None:
    """Build what the order says, then answer until the input ends."""
    _die_with_parent()
    answers = _own_output()
    order: dict[str, Any] = json.loads(order_path.read_bytes())
    network = _build(order)
    if network.export_rknn(order["artifact"]) != 0 or network.init_runtime() != 0:
        raise RuntimeError("the toolkit can't write or simulate what it built; it said why above")
    send(answers, json.dumps({"rknn-toolkit2": importlib.metadata.version("rknn-toolkit2")}).encode())
    while (message := receive(sys.stdin.buffer)) is not None:
        boxes, scores = network.inference(inputs=[np.load(io.BytesIO(message))], data_format=["nhwc"])
        answer = io.BytesIO()
        np.savez(answer, boxes=boxes, scores=scores)
        send(answers, answer.getvalue())


def send(pipe: BinaryIO, content: bytes) -> None:
    """Write one message."""
    pipe.write(LENGTH.pack(len(content)) + content)
    pipe.flush()


def receive(pipe: BinaryIO) -> bytes | None:
    """Read one message; None when the other side is gone."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    content = pipe.read(LENGTH.unpack(head)[0])
    return content if len(content) == LENGTH.unpack(head)[0] else None


def _build(order: dict[str, Any]) -> Any:
    """Build the network: all in float16, or in eight bits with what the order says in float16."""
    network = importlib.import_module("rknn.api").RKNN()
    outputs = [order["boxes"], order["scores"]]
    _check(network.config(mean_values=[[0, 0, 0]], std_values=[[255, 255, 255]], target_platform=order["target"]))
    _check(network.load_onnx(model=order["graph"], outputs=outputs))
    if not order["calibration"]:
        _check(network.build(do_quantization=False))
        return network
    Path("calibration.txt").write_text("\n".join(order["calibration"]))
    _check(network.hybrid_quantization_step1(dataset="calibration.txt", custom_hybrid=order["in_float16"]))
    name = Path(order["graph"]).stem  # step one writes its files into the working directory under this name
    _check(network.hybrid_quantization_step2(f"{name}.model", f"{name}.data", f"{name}.quantization.cfg"))
    return network


def _check(code: int) -> None:
    if code != 0:
        raise RuntimeError(f"the toolkit gave up with code {code}; it said why above")


def _own_output() -> BinaryIO:
    """Take standard output for the answers; what the toolkit prints goes to standard error."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _die_with_parent() -> None:
    parent = os.environ.get(PARENT)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
