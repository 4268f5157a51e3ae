"""The documentation site as a person meets it: on a wide and a narrow screen, in light and dark."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers.paths import ROOT
from mkdocs.commands.build import build
from mkdocs.config import load_config
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

# Pages with the widest tables, code and signatures.
PAGES = ("", "concepts/metrics/", "results/", "reference/cli/", "reference/options/data/")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site, built anew and served on this machine."""
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def wait(browser: Chrome, until: Any) -> Any:
    return WebDriverWait(browser, 60, ignored_exceptions=[Exception]).until(lambda _: until())


def shown_links(browser: Chrome) -> list[str]:
    links = browser.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
    return [link.get_attribute("href") or "" for link in links]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_the_screen(browser: Chrome, site: str, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    wide = []
    for width in (1400, 420):
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        for page in PAGES:
            browser.get(site + page)
            shown = browser.execute_script("return document.scrollingElement.scrollWidth")
            wide += [(page, shown)] * (shown > width)
    assert wide == []
    colours = browser.find_element(By.TAG_NAME, "body").get_attribute("data-md-color-scheme")
    assert colours == {"light": "default", "dark": "slate"}[scheme]


def test_the_search_finds_a_page_and_nothing_is_fetched_from_elsewhere(
    browser: Chrome, site: str
) -> None:
    browser.get(site)
    browser.find_element(By.CSS_SELECTOR, ".md-search__input").send_keys("calibrated stacking")
    wait(browser, lambda: any("concepts/class_folds/" in link for link in shown_links(browser)))
    browser.find_element(By.CSS_SELECTOR, ".md-search__input").send_keys(Keys.ENTER)
    wait(browser, lambda: browser.current_url != site)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    addresses = [urlsplit(request["request"]["url"]) for request in asked]
    hosts = {address.netloc for address in addresses if address.scheme.startswith("http")}
    assert hosts == {urlsplit(site).netloc}
