"""Real worker processes: slow to start, so they are shared by few tests."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest

from augmenter.adapters.pool import RenderPool
from augmenter.recipe import Recipe
from augmenter.render import render
from augmenter.rendering import Rendering
from labelstream.errors import Rejected


async def test_one_worker_and_two_and_none_give_the_same_bytes_and_refuse_the_same(scene: Any, recipe: Recipe) -> None:
    scenes = [scene(n) for n in range(5)]
    expected = [render(s.encoded, s.image, s.shapes, recipe, {}) for s in scenes]
    for workers in (1, 2):
        with RenderPool(workers) as pool:
            made = await asyncio.gather(*(pool.render(s.encoded, s.image, s.shapes, recipe, {}) for s in scenes))
            with pytest.raises(Rejected, match=r"image\.unreadable"):
                await pool.render(b"no image", scenes[0].image, (), recipe, {})
            with pytest.raises(Rejected, match=r"image\.failed.*corners"):
                await pool.render(scenes[0].encoded, scenes[0].image, ("no shape",), recipe, {})  # type: ignore[arg-type]
        assert made == expected
        assert all("sha256" in vars(one) for rendering in made for one in rendering.variants), "workers hash"


async def test_a_worker_that_dies_or_never_ends_costs_its_own_image_alone(
    scene: Any, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setattr("augmenter.adapters.pool._render", importlib.import_module("misbehaving").render)
    drawn = scene(1)
    with RenderPool(1, timeout_s=3) as pool:
        results = await asyncio.gather(
            *(pool.render(encoded, drawn.image, drawn.shapes, recipe, {}) for encoded in (b"die", b"slow", b"good")),
            return_exceptions=True,
        )
    rules = [result.rule if isinstance(result, Rejected) else result for result in results]
    assert rules == ["image.crash", "image.slow", Rendering((), "0" * 16)]
