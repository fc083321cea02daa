"""The try-it page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from inference.page.routes import STATIC
from labelstream.service.http import serve_http, take_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
expect.set_options(timeout=60_000)  # its default of 5 s is less than a busy machine may take
RED, BLUE = (0, 0, 255), (255, 0, 0)  # BGR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)"),
]


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium; Playwright brings none of its own here."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        await started.close()


@asynccontextmanager
async def served(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """Serve the application that `client` asks on a real port; give its address."""
    taken = take_port("127.0.0.1", 0)
    port = taken.getsockname()[1]
    app = client._transport.app  # type: ignore[attr-defined]  # an ASGITransport
    serving = asyncio.create_task(serve_http(app, "127.0.0.1", port, taken))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def opened(world, browser: Browser, **settings) -> AsyncIterator[Page]:
    """The page of a replica that serves the model "first"; whatever the browser complains of fails the test."""
    async with world.replica(**settings) as client:
        await world.promote("first", 1)
        await world.until(lambda: world.health.is_ready)
        async with served(client) as address:
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            await page.goto(address)
            yield page
            # A refused request is on the browser's console as well.
            assert [each for each in complaints if "Failed to load resource" not in each] == []
            await page.close()


def dropped(name: str, content: bytes, kind: str = "image/png") -> dict:
    """A file as the page gets it."""
    return {"name": name, "mimeType": kind, "buffer": content}


async def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file onto the page, as a person does from a folder."""
    transfer = await page.evaluate_handle(
        """([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
            return transfer;
        }""",
        [name, list(content)],
    )
    await page.dispatch_event("#drop", "dragenter", {"dataTransfer": transfer})
    await page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


async def colour(page: Page, x: float, y: float) -> np.ndarray:
    """What the canvas shows at a point of the image, RGB."""
    pixel = await page.evaluate(
        """([x, y]) => { const c = document.getElementById("canvas");
            return [...c.getContext("2d").getImageData(x * c.width, y * c.height, 1, 1).data]; }""",
        [x / 64, y / 64],
    )
    return np.array(pixel[:3])


async def test_a_dropped_image_shows_its_boxes(world, draw, browser) -> None:
    async with opened(world, browser) as page:
        await expect(page.locator("#model")).to_contain_text("first")
        await drop(page, "cells.png", draw((3, 4, RED), (6, 2, BLUE)))
        rows = page.locator("#detections li")
        await expect(rows).to_have_count(2)
        assert sorted(await rows.locator("span:nth-child(2)").all_inner_texts()) == ["blue", "red"]
        edge, inside = await colour(page, 32, 28), await colour(page, 36, 28)
        assert inside.tolist() == [255, 0, 0]  # the red cell
        assert np.abs(edge - inside).max() > 60  # and the box around it
        await expect(page.locator("#curl")).to_contain_text("--data-binary '@cells.png'")


async def test_the_slider_hides_what_is_less_sure_without_asking_again(world, draw, browser) -> None:
    asked = []
    async with opened(world, browser) as page:
        page.on("request", lambda request: asked.append(request.url) if "predict" in request.url else None)
        faint = (114, 114, 214)  # a red that scores below a half
        await page.set_input_files("#file", [dropped("two.png", draw((1, 4, RED), (5, 2, faint)))])
        await page.locator("#confidence").fill("0.05")
        await expect(page.locator("#detections li")).to_have_count(2)
        await page.locator("#confidence").fill("0.9")
        await expect(page.locator("#detections li")).to_have_count(1)
        await expect(page.locator("#confidence-said")).to_have_text("0.90")
        await expect(page.locator("#summary")).to_contain_text("1 of 2 finds")
        await page.locator("#classes input").first.uncheck()
        await expect(page.locator("#detections li")).to_have_count(0)
    assert len(asked) == 1


async def test_several_images_are_answered_and_one_that_is_none_is_explained(world, draw, browser) -> None:
    async with opened(world, browser) as page:
        files = [dropped("broken.png", b"no image"), dropped("good.png", draw((1, 4, RED)))]
        await page.set_input_files("#file", files)
        await expect(page.locator("#problem")).to_contain_text("image.unknown_format")
        await expect(page.locator("#strip button")).to_have_count(2)
        await page.locator("#strip button").nth(1).click()
        await expect(page.locator("#problem")).to_be_hidden()
        await expect(page.locator("#detections li")).to_have_count(1)


async def test_the_answer_can_be_taken_away(world, draw, browser, tmp_path: Path) -> None:
    async with opened(world, browser) as page:
        await page.set_input_files("#file", [dropped("cells.png", draw((1, 4, RED)))])
        await expect(page.locator("#take")).to_be_visible()
        for button, name, begins in (("#json", "cells.json", b"{"), ("#jpeg", "cells-boxes.jpg", b"\xff\xd8")):
            async with page.expect_download() as download:
                await page.click(button)
            saved = await download.value
            assert saved.suggested_filename == name
            await saved.save_as(tmp_path / name)
            assert (tmp_path / name).read_bytes().startswith(begins)


async def test_a_hostile_name_is_shown_and_not_run(world, draw, browser) -> None:
    async with opened(world, browser) as page:
        name = "<img src=x onerror=document.title='run'>.png"
        await page.set_input_files("#file", [dropped(name, draw((1, 4, RED)))])
        await expect(page.locator("#summary")).to_contain_text("onerror")
        assert await page.title() == "Labelstream inference"


async def test_the_page_loads_nothing_from_elsewhere(world, browser) -> None:
    async with opened(world, browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.reload()
        await expect(page.locator("#model")).to_contain_text("first")
        own = page.url
        assert asked
        assert all(url.startswith((own, "data:", "blob:")) for url in asked), asked


def test_no_file_of_the_page_names_another_host() -> None:
    for path in STATIC.iterdir():
        assert "//" not in path.read_text().replace("http://www.w3.org/2000/svg", "").replace("// ", ""), path.name
