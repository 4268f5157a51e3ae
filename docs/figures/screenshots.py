"""Screenshots of report.html and of the local page, of a run on drawn shapes.

Run: python docs/figures/screenshots.py

The shapes are those of examples/notebook.ipynb; no photograph is shown. Needs chromium and
chromedriver on the PATH, and the extras app and dev. Writes docs/assets/report.png and page.png.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import devise_exp as de
from devise_exp.search.saved_run import Run
from devise_exp.ui.page.page import serving

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "docs" / "assets"
WIDTH, HEIGHT = 1100, 760


def drawn_shapes(root: Path) -> None:
    """Draw the images of the notebook, by its own cells."""
    cells = json.loads((ROOT / "examples" / "notebook.ipynb").read_text("utf-8"))["cells"]
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    exec(codes[0], names)
    exec(codes[1].partition("\nroot = ")[0], names)
    names["draw_shapes"](root, n=24)


def trained(folder: Path) -> Path:
    """The folder of a run on them, two of the shapes unseen."""
    drawn_shapes(folder / "shapes")
    run = de.train(
        data="image_folder", root=folder / "shapes", split="named", seed=1,
        split__unseen=["octagon", "star"], folder=folder / "run", logger=None,
    )  # fmt: skip
    return run.path


def browser() -> Chrome:
    """A Chromium without a window."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    chrome = Chrome(options, Service(shutil.which("chromedriver") or ""))
    screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    return chrome


def main() -> None:
    """Train, then look at the report and at the page."""
    with tempfile.TemporaryDirectory() as base:
        run = trained(Path(base))
        chrome = browser()
        chrome.get((run / "report.html").as_uri())
        chrome.save_screenshot(str(ASSETS / "report.png"))
        with serving(Run.open(run)) as address:
            chrome.get(address)
            wait = WebDriverWait(chrome, 120, ignored_exceptions=[Exception])
            box = wait.until(lambda _: chrome.find_element(By.CSS_SELECTOR, "#words textarea"))
            box.send_keys("star", Keys.ENTER)
            shown = "#hits .caption-label"
            wait.until(lambda _: chrome.find_elements(By.CSS_SELECTOR, shown))
            wait.until(lambda _: chrome.execute_script(
                "return [...document.querySelectorAll('#hits img')].every(i => i.complete)"
            ))  # fmt: skip
            chrome.save_screenshot(str(ASSETS / "page.png"))
        chrome.quit()


if __name__ == "__main__":
    main()
