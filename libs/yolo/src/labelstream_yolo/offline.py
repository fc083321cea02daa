"""Prepares ultralytics to run without network, and without touching anything outside one folder."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from labelstream.errors import Misconfigured

LIBRARIES = ("torch", "ultralytics")  # whose versions decide what comes out
_INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb", "vscode_msg")
_FONTS = ("Arial.ttf", "Arial.Unicode.ttf")  # looked for by name, fetched from the network when missing


def prepare_ultralytics(config_dir: Path, threads: int, *, albumentations: bool = False) -> None:
    """Make ultralytics importable and silent: no look-ups, downloads, installations, reports or integrations.

    Call it before anything imports torch or ultralytics. Settings, fonts and caches stay in `config_dir`. ultralytics
    changes images by albumentations wherever that can be imported: it can't, unless it is asked for here.
    """
    if not albumentations:
        sys.modules.setdefault("albumentations", None)  # type: ignore[arg-type]  # how Python says: not importable
    os.environ.update(
        YOLO_CONFIG_DIR=str(config_dir),
        YOLO_OFFLINE="1",
        YOLO_AUTOINSTALL="0",
        MPLCONFIGDIR=str(config_dir / "matplotlib"),
        NO_ALBUMENTATIONS_UPDATE="1",
        OMP_NUM_THREADS=str(threads),
        OMP_WAIT_POLICY="PASSIVE",  # threads that wait by spinning make a busy machine several times slower
        GOMP_SPINCOUNT="0",
    )
    _provide_fonts(config_dir / "Ultralytics")
    importlib.import_module("labelstream_yolo.torchvision_shim").repair_torchvision()
    settings = importlib.import_module("ultralytics").settings
    folders = {name: str(config_dir / name) for name in ("datasets_dir", "weights_dir", "runs_dir")}
    settings.update(dict.fromkeys(_INTEGRATIONS, False) | folders)
    _let_suppression_finish()
    importlib.import_module("torch").set_num_threads(threads)


def versions(*more: str) -> dict[str, str]:
    """Return the versions of the libraries that shape a model, and of `more`; builds of one version are not told apart.

    Raises Misconfigured when one of them is not installed.
    """
    try:
        return {name: importlib.metadata.version(name).split("+")[0] for name in (*LIBRARIES, *more)}
    except importlib.metadata.PackageNotFoundError as error:
        raise Misconfigured(f"the package {error.name} is not installed beside this service; install it") from error


def _let_suppression_finish() -> None:
    """Take the time limit off ultralytics' non-maximum suppression.

    On a busy machine it gives up after two seconds, leaves the rest of the batch without boxes, and only warns: figures
    come out too low, and change from run to run.
    """
    nms: Any = importlib.import_module("ultralytics.utils.nms")
    nms.non_max_suppression = functools.partial(nms.non_max_suppression, max_time_img=math.inf)


def _provide_fonts(folder: Path) -> None:
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise Misconfigured("the package matplotlib is not installed beside this service; install it")
    folder.mkdir(parents=True, exist_ok=True)
    font = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in _FONTS:
        shutil.copyfile(font, folder / name)
