"""A toolkit in the place of RKNN's: the calls of its API that are used, and its manners, without its arithmetic.

`install(folder, says)` writes it as a package and returns a Python that has it.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

API = '''
import json, os, pathlib
import numpy as np

class RKNN:
    """Prints on standard output and answers -1 where something is wrong, as the real one does."""

    def __init__(self):
        print("I double of the toolkit")
        pathlib.Path("environment.json").write_text(json.dumps(dict(os.environ)))
        self.calls = []

    def config(self, mean_values, std_values, target_platform):
        print("I config")
        return 0 if target_platform == "rk3588" else -1

    def load_onnx(self, model, outputs):
        self.outputs = outputs
        return 0 if pathlib.Path(model).exists() else -1

    def build(self, do_quantization):
        self.calls.append("all in float16")
        return 0

    def hybrid_quantization_step1(self, dataset, custom_hybrid):
        squares = [np.load(line) for line in pathlib.Path(dataset).read_text().splitlines()]
        assert all(square.shape[:2] == (1, 3) and square.dtype == np.uint8 for square in squares)
        self.calls.append(f"{len(squares)} squares, float16 in {custom_hybrid}")
        return 0

    def hybrid_quantization_step2(self, model, data, cfg):
        self.calls.append(f"{model} {data} {cfg}")
        return 0

    def export_rknn(self, path):
        pathlib.Path(path).write_text("\\n".join(self.calls))
        return 0

    def init_runtime(self):
        return 0

    def inference(self, inputs, data_format):
        (square,) = inputs
        assert data_format == ["nhwc"] and square.dtype == np.uint8 and square.shape[3] == 3
        if square.max() == 0:
            raise ValueError("a black square is too much for it")
        print("I GraphPreparing : 100%|####| 106/106 [00:00<00:00, 4754.73it/s]")
        colours = square.reshape(-1, 3).max(axis=0).astype(np.float32)
        return [np.tile(colours.mean(), (1, 4, 5)), np.tile(colours[:2, None], (1, 1, 5))]
'''


def install(folder: Path) -> Path:
    """Write the double below `folder`; return a program to be used as the Python of RKNN's environment."""
    package = folder / "site" / "rknn"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "api.py").write_text(API)
    told = folder / "site" / "rknn_toolkit2-0.0.1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: rknn-toolkit2\nVersion: 0.0.1\n")
    return program(folder / "python", f'shift\nPYTHONPATH={folder / "site"} exec {sys.executable} "$@"\n')


def program(path: Path, script: str) -> Path:
    """Write a shell program."""
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
