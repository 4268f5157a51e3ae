"""The documentation site as a person meets it: on a wide and a narrow screen, in light and dark."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from helpers.paths import ROOT
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SITE = ROOT / "build" / "site"  # what `make docs` has built
FAULTS = (Path(__file__).parent / "page_faults.js").read_text(encoding="utf-8")
SCHEMES = {"light": "default", "dark": "slate"}
INDEX = "/search/search_index.json"
# Colours change at once, not over a quarter of a second.
AT_ONCE = """
const style = document.createElement("style");
style.textContent = "* { transition: none !important }";
document.head.append(style);
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


class WithoutSearch(Quiet):
    """Every page builds the index of the search anew, which would take most of the time."""

    def do_GET(self) -> None:
        if not self.path.startswith(INDEX):
            return super().do_GET()
        config = json.loads((SITE / INDEX[1:]).read_text(encoding="utf-8"))["config"]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"config": config, "docs": []}).encode())


@contextmanager
def served(handler: type[Quiet]) -> Iterator[str]:
    """The address of the site, served on this machine."""
    assert SITE.is_dir(), "run: make docs"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def wait(browser: Chrome, until: Any) -> Any:
    patience = WebDriverWait(browser, 60, poll_frequency=0.02, ignored_exceptions=[Exception])
    return patience.until(lambda _: until())


def shown_links(browser: Chrome) -> list[str]:
    links = browser.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
    return [link.get_attribute("href") or "" for link in links]


def show(browser: Chrome, width: int, scheme: str) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    colours = "return document.body.dataset.mdColorScheme"
    wait(browser, lambda: browser.execute_script(colours) == SCHEMES[scheme])


def hosts_asked(browser: Chrome) -> set[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    addresses = [urlsplit(request["request"]["url"]) for request in asked]
    return {address.netloc for address in addresses if address.scheme.startswith("http")}


def test_every_page_fits_the_screen_and_can_be_read(browser: Chrome) -> None:
    pages = sorted(file.relative_to(SITE).parent.as_posix() for file in SITE.rglob("index.html"))
    assert len(pages) > 80
    faults = []
    with served(WithoutSearch) as site:
        for page in pages:
            browser.get(f"{site}{page}/")
            browser.execute_script(AT_ONCE)
            for width in (1400, 420):
                for scheme in SCHEMES:
                    show(browser, width, scheme)
                    seen = browser.execute_script(FAULTS, 4.5, 3)
                    faults += [f"{page} {width} {scheme}: {fault}" for fault in seen]
        assert faults == []
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
        assert hosts_asked(browser) == {urlsplit(site).netloc}


def test_a_page_with_faults_is_seen(browser: Chrome, tmp_path: Path) -> None:
    text = '<p style="color:#999">grey</p><p style="color:#000">black</p>'
    (tmp_path / "page.html").write_text(f'<body>{text}<div style="width:5000px">wide</div>')
    browser.get((tmp_path / "page.html").as_uri())
    wide, grey = browser.execute_script(FAULTS, 4.5, 3)
    assert wide.startswith("50")
    assert grey.startswith("contrast 2.8: grey")


def test_the_search_finds_pages_and_nothing_is_fetched_from_elsewhere(browser: Chrome) -> None:
    with served(Quiet) as site:
        for words, page in (("calibrated stacking", "class_folds"), ("hubness", "hubness")):
            browser.get(site)
            box = browser.find_element(By.CSS_SELECTOR, ".md-search__input")
            box.send_keys(words)
            wait(
                browser, lambda page=page: any(f"/{page}/" in link for link in shown_links(browser))
            )
        box.send_keys(Keys.ENTER)
        wait(browser, lambda: "/concepts/hubness/" in browser.current_url)
        assert hosts_asked(browser) == {urlsplit(site).netloc}
