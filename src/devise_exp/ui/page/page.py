"""A local page that searches a run's images by words or by an image, and names that image."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError, user_message
from devise_exp.data.images import open_image
from devise_exp.evaluation.protocols import MODEL
from devise_exp.reports.contact_sheet import THUMBNAIL, Tile, thumbnail
from devise_exp.search.answers import DEFAULT_HITS, Hit, find_images, tag_images
from devise_exp.search.saved_run import Run
from devise_exp.ui.page.guard import Guard, is_loopback, own_environment

MAX_UPLOAD = 50 * 2**20  # bytes
MAX_HITS = 60
TAGS = 8
DEFAULT_VOCABULARY = 50_000  # of rarer words, one is near any image by chance
KEPT = 3600  # seconds that images sent and shown stay on the server's disk
WELCOME = "Ask by words, by an image, or by both together."
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
    """Serve the page until Ctrl-C; `port` is the first free one from 7860 on unless given.

    `image_root` is the folder of the run's images, where they are elsewhere than in training.
    """
    if not is_loopback(host):
        notify(f"warning: on {host}, whoever reaches this machine can see this run's images")
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
    """The page's address, while it is served. InputError without gradio and for a taken port."""
    gradio = _gradio()
    from starlette.middleware import Middleware

    look = {
        "theme": gradio.themes.Default(font=FONTS, font_mono=["ui-monospace", "monospace"]),
        "css": files("devise_exp.ui.page").joinpath("assets/app.css").read_text(encoding="utf-8"),
    }
    guard = Middleware(Guard, local=is_loopback(host))
    with own_environment():
        page = build(run, image_root)
        try:
            _, url, _ = page.launch(
                server_name=host,
                server_port=port,
                app_kwargs={"middleware": [guard]},
                **look,
                **LAUNCH,
            )
        except OSError as error:
            place = f"{host}, port {port or '7860 to 7959'}"
            raise InputError(
                f"{place}: nothing can be served there: give another --port"
            ) from error
        try:
            yield url
        finally:
            page.close(verbose=False)


def build(run: Run, image_root: Path | None = None) -> Any:
    """The page as gradio Blocks: questions at the left, what was found at the right."""
    gradio = _gradio()
    busy = threading.Lock()  # strict decoding is set for the whole process

    def answer(text: str, file: str | None, gallery: str, k: float) -> tuple[str, str, Any, Any]:
        with busy:
            image = Path(file) if file else None
            line, tags, asked_by, hits = _answer(run, text, image, gallery, int(k), image_root)
        return line, tags, gradio.Image(asked_by, visible=asked_by is not None), hits

    data = run.folder.about()["data"]
    with (
        gradio.Blocks(
            analytics_enabled=False,
            title=f"{data} · devise-exp",
            fill_width=True,
            delete_cache=(KEPT, KEPT),
        ) as page,
        gradio.Row(),
    ):
        with gradio.Column(scale=1, min_width=290):
            asked, triggers, image = _questions(run)
        with gradio.Column(scale=4, min_width=420):
            told, tags, found = _answers()
        gradio.on(
            triggers,
            answer,
            asked,
            [told, tags, image, found],
            api_name="search",
            show_progress="minimal",
            trigger_mode="always_last",
        )
    return page


def _questions(run: Run) -> tuple[list[Any], list[Any], Any]:
    """The column at the left: what is asked, the events that ask it, and the image asked by."""
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
    return [text, file, gallery, k], triggers, image


def _answers() -> tuple[Any, Any, Any]:
    """The column at the right: the line above, the tags and the grid of images."""
    gradio = _gradio()
    told = gradio.HTML(_told(WELCOME), elem_id="told")
    tags = gradio.HTML("", elem_id="tags")
    found = gradio.Gallery(
        label="Images found",
        show_label=False,
        columns=6,
        object_fit="contain",
        height="auto",
        format="jpeg",
        buttons=[],
        elem_id="found",
    )
    return told, tags, found


Thumbnails = list[tuple[Image.Image, str]]  # thumbnails with their captions


def _answer(
    run: Run, text: str, file: Path | None, gallery: str, k: int, image_root: Path | None
) -> tuple[str, str, Image.Image | None, Thumbnails]:
    """The line above, the tags, the image asked by and the images found."""
    tags, thumb = "", None
    if not text.strip() and file is None:
        return _told(WELCOME), tags, thumb, []
    try:
        if file is not None:
            image = open_image(file, file.name)
            thumb = thumbnail(Tile(image, file.name), THUMBNAIL)
            tags = _tags(run, image)
        n = min(k, len(run.gallery(gallery)))
        answer = find_images(run, text, file, gallery, n, image_root=image_root)
    except Exception as error:
        line = user_message(error)
        if line is None:
            raise
        return _told(line, "problem"), tags, thumb, []
    line = f"{answer.reading}: the nearest {len(answer.hits)} of {answer.n:,} images ({gallery})"
    return _told(line), tags, thumb, [_shown(hit) for hit in answer.hits]


def _shown(hit: Hit) -> tuple[Image.Image, str]:
    name, similarity = hit.row.label or hit.row.name, f"{hit.similarity:.3f}"
    file = Path(hit.row.path) if hit.row.path else None
    return thumbnail(Tile(file, hit.row.name, similarity), THUMBNAIL), f"{similarity} {name}"


def _tags(run: Run, image: Image.Image) -> str:
    """What the image may show: labels of the run, then words of its vocabulary."""
    vector = run.embed([image])[MODEL]  # (1, D)
    named = {"classes": tag_images(run, vector, min(TAGS, len(run.class_vectors)))[0]}
    if n := min(DEFAULT_VOCABULARY, len(run.vocabulary)):
        named["words"] = tag_images(run, vector, min(TAGS, n), vocabulary=True, most_frequent=n)[0]
    return "".join(_chips(kind, tags) for kind, tags in named.items())


def _chips(kind: str, tags: Sequence[tuple[str, float]]) -> str:
    chips = (f"<li>{escape(name)} <b>{similarity:.2f}</b></li>" for name, similarity in tags)
    return f'<h2>Nearest {kind}</h2><ul class="chips {kind}">{"".join(chips)}</ul>'


def _told(line: str, kind: str = "answer") -> str:
    return f'<p class="{kind}" role="status">{escape(line)}</p>'


def _gradio() -> Any:
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise InputError("the page needs gradio: pip install -e '.[app]'") from error
    return gradio
