"""The page of `devise-exp app` as a person meets it, in a real Chromium (make browser)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from helpers.images import COLOURS
from PIL import Image
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from devise_exp.search.answers import find_images
from devise_exp.search.saved_run import Run
from devise_exp.ui.page.page import EXAMPLES, serving

PATIENCE = 60  # seconds; only a page that stays empty waits as long


@pytest.fixture(scope="module")
def saved(searchable: Path) -> Run:
    return Run.open(searchable)


@pytest.fixture
def page(browser: Chrome, saved: Run) -> Iterator[Chrome]:
    with serving(saved) as url:
        browser.get(url)
        wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#words textarea"))
        yield browser


def wait(browser: Chrome, until: Callable[[], object]) -> None:
    WebDriverWait(browser, PATIENCE, ignored_exceptions=[Exception]).until(lambda _: until())


def ask(page: Chrome, text: str) -> None:
    box = page.find_element(By.CSS_SELECTOR, "#words textarea")
    box.clear()
    box.send_keys(text, Keys.ENTER)


def captions(page: Chrome) -> list[str]:
    return [caption.text for caption in page.find_elements(By.CSS_SELECTOR, "#hits .caption-label")]


def line(page: Chrome) -> str:
    return page.find_element(By.ID, "line").text


def expected(saved: Run, text: str = "", image: Path | None = None) -> list[str]:
    hits = find_images(saved, text, image, k=12).hits
    return [f"{hit.similarity:.3f} {hit.row.label}" for hit in hits]


def images_drawn(page: Chrome) -> bool:
    """Whether every image of the grid has been loaded and takes its place on the screen."""
    script = (
        "return [...document.querySelectorAll('#hits img')]"
        ".every(each => each.complete && each.naturalWidth > 0 && each.offsetWidth > 50)"
    )
    return bool(page.execute_script(script))


def colours_on_screen(page: Chrome, file: Path) -> set[str]:
    """The classes whose colour covers at least one hundred pixels of the screen."""
    page.save_screenshot(str(file))
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=int)
    # An image is of one colour with noise of up to 25 on each channel.
    return {
        name
        for name, colour in COLOURS.items()
        if (np.abs(pixels - np.array(colour)).max(axis=2) < 20).sum() > 100
    }


def hosts_asked(page: Chrome) -> set[str | None]:
    """Hosts of every request over the network since the start, sent or not."""
    events = [json.loads(item["message"])["message"] for item in page.get_log("performance")]
    addresses = [
        event["params"]["request"]["url"]
        if "request" in event["params"]
        else event["params"]["url"]
        for event in events
        if event["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated")
    ]
    parts = [urlsplit(address) for address in addresses]
    return {part.hostname for part in parts if part.scheme in ("http", "https", "ws", "wss")}


def drop(page: Chrome, file: Path) -> None:
    """Drop a file on the place for an image, as the desktop would."""
    folder = page.find_element(By.CSS_SELECTOR, "#image button")
    box = folder.rect
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "data": data, **at})


def test_words_fill_the_grid(page: Chrome, saved: Run, tmp_path: Path) -> None:
    box = page.find_element(By.CSS_SELECTOR, "#words textarea")
    assert box.get_attribute("placeholder") == EXAMPLES
    assert colours_on_screen(page, tmp_path / "empty.png") == set()
    ask(page, "cat")
    wait(page, lambda: captions(page) == expected(saved, "cat"))
    wait(page, lambda: images_drawn(page))
    shown = {caption.split()[1] for caption in captions(page)}
    assert colours_on_screen(page, tmp_path / "words.png") == shown
    assert "cat: the nearest 12 of" in line(page)


def test_a_dropped_image_shows_tags_and_images_like_it(
    page: Chrome, saved: Run, image_tree: Path, tmp_path: Path
) -> None:
    asked = tmp_path / "dropped.png"  # a copy: none of the gallery's own files
    shutil.copy(image_tree / "boat" / "03.png", asked)
    drop(page, asked)
    wait(page, lambda: captions(page) == expected(saved, image=asked))
    tags = page.find_elements(By.CSS_SELECTOR, "#tags .chips.classes li")
    assert {tag.text.split()[0] for tag in tags} == set(COLOURS)
    assert len(page.find_elements(By.CSS_SELECTOR, "#tags .chips.words li")) == 8
    assert not page.find_elements(By.CSS_SELECTOR, "#calibrated")  # this run chose no gamma
    wait(page, lambda: images_drawn(page))
    wait(page, lambda: "boat" in colours_on_screen(page, tmp_path / "dropped-and-found.png"))
    ask(page, "cat")  # and both together
    wait(page, lambda: "dropped.png and cat" in line(page))
    wait(page, lambda: captions(page) == expected(saved, "cat", asked))


def test_the_switch_shows_tags_without_calibration(
    browser: Chrome, saved: Run, image_tree: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(saved.folder.path, tmp_path / "run")
    with np.load(folder / "embeddings/devise.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "embeddings/devise.npz", **arrays, factor=np.array(1.5))

    def tags() -> list[str]:
        chips = browser.find_elements(By.CSS_SELECTOR, "#tags .chips.classes li")
        return [chip.text.split()[0] for chip in chips]

    def note() -> str:
        return "".join(p.text for p in browser.find_elements(By.CSS_SELECTOR, "#tags .note"))

    with serving(Run.open(folder)) as url:
        browser.get(url)
        wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#image button"))
        drop(browser, image_tree / "boat" / "03.png")
        wait(browser, lambda: note().startswith("calibrated: similarity of the 6 seen labels"))
        calibrated = tags()
        browser.find_element(By.CSS_SELECTOR, "#calibrated input").click()
        wait(browser, lambda: tags() and note() == "")
        assert sorted(tags()) == sorted(calibrated)
        assert tags() != calibrated
        browser.find_element(By.CSS_SELECTOR, "#calibrated input").click()
        wait(browser, lambda: tags() == calibrated and note())


def test_problems_are_told_on_the_page(page: Chrome, tmp_path: Path) -> None:
    ask(page, "umbrelax")
    wait(page, lambda: "umbrella" in line(page))
    assert captions(page) == []
    (tmp_path / "broken.png").write_bytes(b"no image")
    page.find_element(By.CSS_SELECTOR, "#words textarea").clear()
    drop(page, tmp_path / "broken.png")
    wait(page, lambda: "broken.png: not an image" in line(page))
    assert page.find_elements(By.CSS_SELECTOR, "#line .problem")


def test_the_page_asks_nobody_but_this_machine(
    page: Chrome, image_tree: Path, tmp_path: Path
) -> None:
    ask(page, "cat")
    wait(page, lambda: captions(page))
    drop(page, image_tree / "boat" / "03.png")
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "#tags li"))
    wait(page, lambda: images_drawn(page))
    assert hosts_asked(page) == {"127.0.0.1"}
    # Nor was anything held back by the policy that the page is served with.
    assert not [item for item in page.get_log("browser") if "Security Policy" in item["message"]]
