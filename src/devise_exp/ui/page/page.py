"""A local page that searches a run's images by words or by an image, and tags that image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from devise_exp.core.console import notify, warn
from devise_exp.core.errors import InputError
from devise_exp.search.answers import DEFAULT_HITS
from devise_exp.search.saved_run import Run
from devise_exp.ui.page.answer import WELCOME, answer_query, line_html
from devise_exp.ui.page.guard import Guard, gradio_environment, is_loopback
from devise_exp.ui.page.question import MAX_HITS, check_question, word_spaces

MAX_UPLOAD = 50 * 2**20  # bytes
KEPT = 3600  # seconds that images sent and shown stay on the server's disk
FONTS = ["system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
LAUNCH: dict[str, Any] = {  # nothing public, no other process, no record of what was asked
    "max_file_size": MAX_UPLOAD,
    "prevent_thread_lock": True,
    "quiet": True,
    "inline": False,
    "share": False,
    "ssr_mode": False,
    "mcp_server": False,
    "run_history": False,
    "enable_monitoring": False,
    "footer_links": [],
}
EXAMPLES = "for example horse -grass"


def serve(
    run: Run, host: str = "127.0.0.1", port: int | None = None, image_root: Path | None = None
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        run: The run.
        host: Address to serve on.
        port: Port; None: the first free one from 7860 on.
        image_root: Folder of the run's images, if they are elsewhere than in training.
    """
    if not is_loopback(host):
        warn(f"on {host}, whoever reaches this machine can see this run's images")
    with serving(run, host, port, image_root) as url:
        try:
            notify(f"the page is at {url} (Ctrl-C ends it)")
            threading.Event().wait()
        except KeyboardInterrupt:
            notify("ended")


@contextmanager
def serving(
    run: Run, host: str = "127.0.0.1", port: int | None = None, image_root: Path | None = None
) -> Iterator[str]:
    """Serve the page while the block runs.

    Args:
        run: The run.
        host: Address to serve on.
        port: Port; None: the first free one from 7860 on.
        image_root: Folder of the run's images, if they are elsewhere than in training.

    Yields:
        The address of the page.

    Raises:
        InputError: If gradio is not installed, or the port is taken.
    """
    gradio = _gradio()
    from starlette.middleware import Middleware

    look = {
        "theme": gradio.themes.Default(font=FONTS, font_mono=["ui-monospace", "monospace"]),
        "css": files("devise_exp.ui.page").joinpath("assets/app.css").read_text(encoding="utf-8"),
    }
    with gradio_environment() as uploads:
        check = partial(
            check_question, galleries=run.galleries(), spaces=word_spaces(run), uploads=uploads
        )
        guard = Middleware(Guard, local=is_loopback(host), check=check)
        page = build(run, image_root)
        options = {"app_kwargs": {"middleware": [guard]}, **look, **LAUNCH}
        try:
            _, url, _ = page.launch(server_name=host, server_port=port, **options)
        except OSError as error:
            address = f"{host}, port {port or '7860 to 7959'}"
            raise InputError(
                f"{address}: nothing can be served there: give another --port"
            ) from error
        try:
            yield url
        finally:
            page.close(verbose=False)


def build(run: Run, image_root: Path | None = None) -> Any:
    """Build the page: the query at the left, the answer at the right.

    Args:
        run: The run.
        image_root: Folder of the run's images, if they are elsewhere than in training.

    Returns:
        The page as gradio Blocks.
    """
    gradio = _gradio()
    blocks = gradio.Blocks(
        analytics_enabled=False,
        title=f"{run.folder.about()['data']} · devise-exp",
        fill_width=True,
        delete_cache=(KEPT, KEPT),
    )
    with blocks as page, gradio.Row():
        with gradio.Column(scale=1, min_width=290):
            query, triggers, image = _query_column(run)
        with gradio.Column(scale=4, min_width=420):
            line, tags, hits = _answer_column()
        gradio.on(
            triggers,
            _answerer(run, image_root),
            query,
            [line, tags, image, hits],
            api_name="search",
            show_progress="minimal",
            trigger_mode="always_last",
        )
    return page


def _answerer(run: Run, image_root: Path | None) -> Callable[..., tuple[str, str, Any, Any]]:
    """The function that gradio calls with the values of the query."""
    gradio = _gradio()
    busy = threading.Lock()  # the first answers load parts of the run, each once

    def answer(
        text: str, file: str | None, gallery: str, k: float, calibrated: bool, space: str
    ) -> tuple[str, str, Any, Any]:
        with busy:
            image = Path(file) if file else None
            line, tags, thumb, hits = answer_query(
                run, text, image, gallery, int(k), calibrated, image_root, space
            )
        return line, tags, gradio.Image(thumb, visible=thumb is not None), hits

    return answer


def _query_column(run: Run) -> tuple[list[Any], list[Any], Any]:
    """The column at the left: the query, the events that send it, and the query image."""
    gradio = _gradio()
    about = {key: escape(str(value)) for key, value in run.folder.about().items()}
    gradio.HTML(
        f"<h1>{about['data']}</h1><p>{about['backbone']}, {about['word_vectors']}</p>",
        elem_id="run",
    )
    text = gradio.Textbox(label="Words", placeholder=EXAMPLES, elem_id="words")
    file = gradio.File(label="Image", height=130, elem_id="image")
    galleries = run.galleries()
    gallery = gradio.Dropdown(galleries, value=galleries[0], label="Among", elem_id="gallery")
    k = gradio.Slider(1, MAX_HITS, DEFAULT_HITS, step=1, label="How many", elem_id="k")
    calibrated = gradio.Checkbox(
        value=True,
        label="Calibrated classes",
        visible=run.gamma is not None,
        elem_id="calibrated",
    )
    spaces = word_spaces(run)
    space = gradio.Dropdown(spaces, value=spaces[0], label="Compare in", elem_id="space")
    button = gradio.Button("Search", variant="primary", elem_id="search")
    image = gradio.Image(
        label="Asked by",
        interactive=False,
        buttons=[],
        format="jpeg",
        visible=False,
        height=240,
        elem_id="asked",
    )
    triggers = [text.submit, button.click, file.upload, file.clear, gallery.input, k.release]
    triggers += [calibrated.input, space.input]
    return [text, file, gallery, k, calibrated, space], triggers, image


def _answer_column() -> tuple[Any, Any, Any]:
    """The column at the right: the line above, the tags and the grid of images."""
    gradio = _gradio()
    line = gradio.HTML(line_html(WELCOME), elem_id="line")
    tags = gradio.HTML("", elem_id="tags")
    hits = gradio.Gallery(
        label="Images found",
        show_label=False,
        columns=6,
        object_fit="contain",
        height="auto",
        format="jpeg",
        buttons=[],
        elem_id="hits",
    )
    return line, tags, hits


def _gradio() -> Any:
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise InputError("the page needs gradio: pip install 'devise-exp[app]'") from error
    return gradio
