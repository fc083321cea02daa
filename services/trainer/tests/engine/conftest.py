"""A folder of drawn scenes, as small as learns something, and somebody who listens to its training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from trainer.recipe import TrainingRecipe

from .listening import Listener

NAMES = ["disc", "bar"]
SIDE = 96


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("scenes"), {"train": 48, "val": 12, "test": 12})


@pytest.fixture
def tiny() -> TrainingRecipe:
    return tiny_recipe()


def tiny_recipe(epochs: int = 2, batch: int = 8, lr0: float = 0.006, patience: int = 100) -> TrainingRecipe:
    return TrainingRecipe(
        architecture="small", image_size=SIDE, epochs=epochs, batch=batch, lr0=lr0, patience=patience,
        cache_images=True,
    )  # fmt: skip


@pytest.fixture
def listener() -> Listener:
    return Listener()


def draw_folder(root: Path, sizes: dict[str, int]) -> Path:
    rng = np.random.default_rng(7)
    for split, count in sizes.items():
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
        for number in range(count):
            image, lines = _scene(rng)
            cv2.imwrite(str(root / split / "images" / f"{number}.jpg"), image)
            (root / split / "labels" / f"{number}.txt").write_text("".join(lines))
    paths = {split: f"{split}/images" for split in sizes}
    (root / "data.yaml").write_text(yaml.safe_dump({"path": str(root), **paths, "names": NAMES}))
    return root


def _scene(rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    image = rng.integers(90, 130, (SIDE, SIDE, 3), dtype=np.uint8)
    lines = []
    for left in (4, 50):  # one object in each half
        class_id, size = int(rng.integers(0, 2)), int(rng.integers(24, 36))
        x, y = left + size // 2, int(rng.integers(size // 2 + 2, SIDE - size // 2 - 2))
        height = size if class_id == 0 else size // 3
        if class_id == 0:
            cv2.circle(image, (x, y), size // 2, (250, 240, 30), -1)
        else:
            cv2.rectangle(image, (x - size // 2, y - height // 2), (x + size // 2, y + height // 2), (20, 30, 230), -1)
        lines.append(f"{class_id} {x / SIDE:.6f} {y / SIDE:.6f} {size / SIDE:.6f} {height / SIDE:.6f}\n")
    return image, lines
