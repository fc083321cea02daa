"""Trains on several accelerators of this machine: a process for each, started by torch's own launcher.

Nothing is pickled between them: each reads the plan, and the first writes checkpoints and progress as one alone would.
No two accelerators have been at hand so far; what has been run is this path with two processes on a CPU.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as launch

from labelstream_yolo.engine import FAILURE, PARENT, Ended, EngineFailure
from trainer.engine.plan import Plan
from trainer.engine.recovering import DIED, devices_in

MODULE = "trainer.engine.rank"


def run_ranks(plan: Plan) -> None:
    """Train with a process for each device; one that fails ends them all.

    Raises EngineFailure as the process that failed first said it.
    """
    folder = ranks_folder(plan)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    described = folder / "plan.json"
    described.write_text(plan.model_dump_json())
    os.environ[PARENT] = str(os.getpid())  # they die with us
    processes = devices_in(plan.spec.device)
    try:
        launch(
            ["--standalone", f"--nproc-per-node={processes}", "--max-restarts=0", "--module", MODULE, str(described)]
        )
    except ChildFailedError as error:
        raise _said(folder, error) from error
    except SignalException as error:
        raise Ended from error


def ranks_folder(plan: Plan) -> Path:
    """Return where the processes work; each has a folder of its own there."""
    return plan.spec.out_dir / "ranks"


def _said(folder: Path, error: ChildFailedError) -> EngineFailure:
    said = sorted(folder.glob(f"*/{FAILURE}"), key=lambda path: path.stat().st_mtime_ns)
    if not said:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        return EngineFailure(DIED, f"of the processes that trained, {codes} (number: exit code) ended without a word")
    content = json.loads(said[0].read_bytes())
    return EngineFailure(content["rule"], content["reason"])
