"""The file by which YOLO trainers find a dataset's images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from labelstream.values import Split

_REQUIRED: tuple[Split, ...] = ("train", "val")  # ultralytics reads no data.yaml without both


def data_yaml(splits: Sequence[Split], classes: Sequence[str], path: Path | None = None) -> str:
    """Return data.yaml for the splits that are there; without `path`, folders are looked for beside the file.

    Where train or val is not there, its key names the first split that is, and a comment says so.
    """
    folders: dict[str, str] = {split: f"{split}/images" for split in splits}
    lacking = [split for split in _REQUIRED if split not in folders] if folders else []
    said = ""
    for split in lacking:
        said += f"# {split} is not here; ultralytics requires the key, which stands for {splits[0]}\n"
        folders[split] = folders[splits[0]]
    content: dict[str, object] = {} if path is None else {"path": str(path)}
    content.update(folders)
    content["names"] = dict(enumerate(classes))
    return said + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
