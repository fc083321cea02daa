"""RKNN's toolkit as a process of its own: asked by messages, ended with its owner or when it takes too long."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np

from exporter.engine import rknn_program
from exporter.engine.adapters.contract import Floats, Images, UnbuildableError
from exporter.engine.rknn_program import PARENT, receive, send

BUILD_LIMIT_S = 3600.0
RUN_LIMIT_S = 600.0
_GIVEN = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH")  # all that foreign code gets of our environment
_TAIL_LINES, _TAIL_BYTES = 5, 20_000
_NOISE = re.compile(r"\d+it/s|\d+s/it|^\s*$")  # what its progress bars leave
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class ToolkitError(UnbuildableError):
    """The toolkit ended without an answer; says how, with the last that it said."""


class RknnProcess:
    """`rknn_program.py`, started in RKNN's environment; the network that it built lives as long as it does."""

    def __init__(self, python: Path, order: dict[str, Any], folder: Path) -> None:
        """Start it on `order`; its log and whatever it writes lie in `folder`. Raises OSError."""
        python, folder = python.absolute(), folder.absolute()  # it works in the folder; a link says which environment
        self._log = folder / "rknn.log"
        order_file = folder / "order.json"
        order_file.write_text(json.dumps(order))
        environment = {name: os.environ[name] for name in _GIVEN if name in os.environ}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # the interpreter is configured, the program is ours
                [str(python), "-I", rknn_program.__file__, str(order_file)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=folder,
                env=environment | {"HOME": str(folder), "OMP_NUM_THREADS": "1", PARENT: str(os.getpid())},
            )  # fmt: skip

    def built(self, limit_s: float = BUILD_LIMIT_S) -> dict[str, str]:
        """Wait until the network is built and written; return the toolkit's version. Raises ToolkitError."""
        versions: dict[str, str] = json.loads(self._answer(limit_s))
        return versions

    def simulate(self, image: Images, limit_s: float = RUN_LIMIT_S) -> Floats:
        """Return the raw output (1, 4 + classes, n) for one square (1, side, side, 3), RGB. Raises ToolkitError."""
        message = io.BytesIO()
        np.save(message, image)
        try:
            send(self._pipe(self._process.stdin), message.getvalue())
        except BrokenPipeError as error:
            raise self._ended(limit_s) from error
        answer = np.load(io.BytesIO(self._answer(limit_s)))
        boxes, scores = answer["boxes"], answer["scores"]
        return np.concatenate([boxes.reshape(1, 4, -1), scores.reshape(1, -1, boxes.size // 4)], axis=1)

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):  # what was not sent yet has nobody to go to
                self._pipe(pipe).close()

    def _answer(self, limit_s: float) -> bytes:
        watch = Timer(limit_s, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            answer = receive(self._pipe(self._process.stdout))
        finally:
            watch.cancel()
        if answer is None:
            raise self._ended(limit_s)
        return answer

    def _ended(self, limit_s: float) -> ToolkitError:
        code = self._process.wait()
        how = f"exited with code {code}" if code >= 0 else f"was killed by signal {-code} (its limit is {limit_s:g} s)"
        return ToolkitError(f"RKNN's toolkit {how}: {self._last_words()}")

    def _last_words(self) -> str:
        said = _COLOUR.sub("", self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace"))
        lines = [line.strip() for line in re.split(r"[\r\n]+", said) if not _NOISE.search(line)]
        return " | ".join(lines[-_TAIL_LINES:]) or "it said nothing"

    @staticmethod
    def _pipe(pipe: Any) -> Any:
        if pipe is None:  # never: both were asked for
            raise ToolkitError("RKNN's toolkit was started without pipes")
        return pipe
