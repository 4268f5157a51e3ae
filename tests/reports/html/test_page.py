"""A run's page, read back as a browser would read it, and the same in W&B."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from helpers.diagnosed import protocol_ranking
from helpers.outputs import method_output
from helpers.wandb import wandb_inspect
from PIL import Image

from devise_exp.core import side_work
from devise_exp.core.errors import InputError
from devise_exp.core.paths import CONF
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import named_split
from devise_exp.evaluation import diagnostics, evaluator
from devise_exp.evaluation.diagnostics import Classes
from devise_exp.evaluation.metrics.tradeoff import Curve, top_answers, tradeoff_curve
from devise_exp.evaluation.protocols import MethodOutput, standard_protocols
from devise_exp.evaluation.ranking_analysis import top_similarity
from devise_exp.evaluation.verdicts import Overlap
from devise_exp.index.exact import ExactIndex
from devise_exp.pipelines import run_page
from devise_exp.pipelines.run_page import write_page
from devise_exp.reports import run_tables
from devise_exp.reports.figures.style import VARIABLES, Plot
from devise_exp.reports.html import confusions
from devise_exp.reports.html import page as page_module
from devise_exp.reports.html.page import write_html
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.html.terms import terms
from devise_exp.reports.numbers import to_precision
from devise_exp.runs import gallery_files
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.gallery import GalleryRow
from devise_exp.runs.gallery_files import saved_rows
from devise_exp.runs.records import RunDetails
from devise_exp.text.labels import Resolution

EVIL = "<script>alert('&$x$')</script>\x00\x1b[31m"  # a class of this name
SPELT = "<script>alert('&$x$')</script>\\x00\\x1b[31m"
NAMES = ("cat", "dog", "lion", "tiger", EVIL, "okapi", "ferry", "lotus")
UNSEEN = (EVIL, "okapi", "ferry")
ABOUT = {
    "data": "image_folder",
    "backbone": "resnet18",
    "word_vectors": "glove_6b_50d",
    "split/fingerprint": "0123456789abcdef",
    "leak/checked_by": "words and kinds",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of eight classes with all that a page can show, images too."""
    base = tmp_path_factory.mktemp("whole")
    run = RunFolder(base / "run")
    run.path.mkdir()
    labels = np.repeat(np.arange(len(NAMES)), 12)
    rows = [f"{c}/{i:02}.png" for i, c in enumerate(labels)]
    split = named_split(LabelledRows(classes=NAMES, labels=labels, rows=rows), UNSEEN)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(NAMES), 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    truths = labels[split.test], labels[split.unseen_rows]

    def model(name: str, noise: float) -> MethodOutput:
        queries = [vectors[t] + noise * rng.normal(size=(len(t), 6)) for t in truths]
        unit = [(q / np.linalg.norm(q, axis=1, keepdims=True)).astype(np.float32) for q in queries]
        return method_output(name, vectors, unit[0], truths[0], unit[1], truths[1])

    models = [model("devise", 0.4), model("conse", 0.6)]
    chosen = standard_protocols(split.seen, split.unseen)
    actual = evaluator.evaluate(models, chosen, ExactIndex, about=dict(ABOUT))
    result, neighbours = actual.report, actual.neighbours
    run.save_classes(split, [Resolution(n, (n,), "exact") for n in NAMES], vectors, rows)
    overlap = Overlap(name="okapi", relation="is a kind of", category="giraffe", sense="okapi")
    run.save_details(RunDetails(about=ABOUT, overlaps=(overlap,), skipped=(f"{EVIL}: broken",)))
    (run.path / "config.yaml").write_text("seed: 0\nnote: <b>bold</b>\n", encoding="utf-8")
    run.save_arrays("neighbours", neighbours)
    for item in models:
        run.save_embedded(item)
    run_tables.write(result, run.path, "a run")
    curves = {item.name: _curve(item, split.seen, split.unseen) for item in models}
    rankings = [
        protocol_ranking(
            p.name,
            truths[p.images == "unseen"],
            p.candidates,
            neighbours[p.name],
            top_similarity(models[0].parts[p.images].vectors, vectors, neighbours[p.name]),
        )
        for p in chosen
    ]
    classes = Classes(
        names=NAMES,
        words=NAMES,
        seen=split.seen,
        unseen=split.unseen,
        overlaps={"okapi": "is a kind of giraffe"},
    )
    actual = diagnostics.diagnose(classes, models, rankings, curves, {"devise": 0.1})
    (run.path / "diagnostics.json").write_text(json.dumps(actual), encoding="utf-8")
    shown = []
    for part, ids in (("test", split.test), ("unseen", split.unseen_rows)):
        for i in ids:
            path = base / f"{i}.png"
            Image.new("RGB", (300, 200), (i, 20 * int(labels[i]), 90)).save(path)
            shown.append(
                GalleryRow(name=rows[i], label=NAMES[labels[i]], path=str(path), part=part)
            )
    gallery_files.save(run.gallery, shown, {"devise": rng.normal(size=(len(shown), 6))}, ExactIndex)
    return run.path


def _curve(model: MethodOutput, seen: np.ndarray, unseen: np.ndarray) -> Curve:
    best = []
    for part in (model.seen, model.unseen):
        actual = []
        for ids in (seen, unseen):
            places, scores = ExactIndex(model.class_vectors[ids]).search(part.vectors, 1)
            actual.append((ids[places], scores))
        best.append(top_answers(actual[0], actual[1], part.class_ids))
    return tradeoff_curve(best[0], best[1])


class Page(HTMLParser):
    """What a browser sees: elements with their attributes, the text, and tables by rows."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)
        if tag == "small" and ("td" in self.open or "th" in self.open):
            cells = self.tables[-1][-1]
            assert cells[-1].endswith(" ")  # a text without layout must not read "30 – 9" for 3
            cells[-1] = cells[-1][:-1]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += ("\n" if "small" in self.open else "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def table(self, *heads: str) -> list[list[str]]:
        """The rows of the one table that has these headings, by its own."""
        (actual,) = [t for t in self.tables if set(heads) <= set(t[0])]
        return actual


@pytest.fixture(scope="module")
def page(whole: Path) -> Page:
    written = write_html(ShownRun(whole))
    assert written == whole / "report.html"
    actual = Page(written.read_text(encoding="utf-8"))
    assert not actual.open
    return actual


SECTIONS = {
    "rests", "methods", "hits", "trade", "classes", "confusions", "plane", "hubs", "audit", "run",
}  # fmt: skip


def test_every_section_is_there_and_linked(page: Page) -> None:
    ids = [this["id"] for _, this in page.elements if "id" in this]
    assert len(ids) == len(set(ids))
    assert set(ids) >= SECTIONS
    links = [str(this["href"]) for this in page.all("a")]
    assert {link.removeprefix("#") for link in links} == SECTIONS


def test_the_page_fetches_nothing_and_runs_nothing(page: Page) -> None:
    assert not page.all("script")
    assert not page.all("link")
    for tag, this in page.elements:
        assert not [name for name in this if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            if name in this:
                assert str(this[name]).startswith(("#", "data:image/jpeg;base64,")), (tag, this)
    assert "url(http" not in page.source
    assert "@import" not in page.source
    (policy,) = (this["content"] for this in page.all("meta") if "http-equiv" in this)
    assert str(policy).startswith("default-src 'none'")


def test_names_of_classes_are_text_whatever_they_hold(page: Page) -> None:
    assert SPELT in page.text
    assert "\x00" not in page.source
    assert "\x1b" not in page.source
    assert "<b>bold</b>" in page.text
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", page.source)
    assert any("alert('&amp;$x$')" in label for label in labels)  # dollars are no formula


def test_the_table_has_every_figure_with_its_interval(page: Page, whole: Path) -> None:
    metrics = json.loads((whole / "metrics.json").read_text())
    tables = [t for t in page.tables if t[0][:2] == ["method", "mean"]]
    assert len(tables) == 4
    for table, protocol in zip(tables, ("seen", "unseen", "all_seen", "all_unseen"), strict=True):
        rows = {(row[0], row[1]): row[2:] for row in table[1:]}
        assert set(rows) == {("devise", "per image"), ("devise", "per class"),
                             ("conse", "per class"), ("chance", "per image")}  # fmt: skip
        for (method, mean), cells in rows.items():
            start = "" if method == "devise" else f"method/{method}/"
            for heading, cell in zip(table[0][2:], cells, strict=True):
                key = f"{start}{protocol}/{heading}"
                key += "/class_mean" if mean == "per class" else ""
                bounds = [metrics.get(f"{key}/{bound}") for bound in ("lo", "hi")]
                shown, _, interval = cell.partition("\n")
                assert shown == to_precision(metrics[key], *bounds)
                assert bool(interval) == (method != "chance")
                if interval:
                    read = [float(bound) / 100 for bound in interval.split(" – ")]
                    assert read == pytest.approx(bounds, abs=0.0051)


def test_methods_stand_side_by_side_with_the_best_marked(page: Page, whole: Path) -> None:
    metrics = json.loads((whole / "metrics.json").read_text())
    head, *rows = page.table("method", "u", "s", "H")
    figures = {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
    assert list(figures) == ["devise", "conse", "chance"]
    assert figures["conse"]["H"] == to_precision(metrics["method/conse/all/H@1"])
    columns = [name for name in head[1:] if name != "pretraining"]
    assert len(page.all("b")) >= len(columns)


def test_every_method_and_metric_of_the_table_is_explained(page: Page) -> None:
    head, *rows = page.table("method", "u", "s", "H")
    shown = re.findall(r"<dt>([^<]*):</dt> <dd>([^<]*)</dd>", page.source)
    assert {row[0] for row in rows} <= {term for term, _ in shown}
    unseen = {column.partition("@")[0] + "@k" for column in head if "@" in column}
    others = {"u", "s", "H", "AUSUC", "calibrated"}
    assert unseen | others <= {term for term, _ in shown}
    assert all(text.endswith(".") for _, text in shown)


def test_every_method_that_can_be_chosen_has_an_explanation() -> None:
    lists = {"all", "ablation", "controls", "none", "published", "with_prior"}
    names = sorted({path.stem for path in (CONF / "method").glob("*.yaml")} - lists)
    assert list(terms(names)["methods"]) == names


def test_a_method_that_is_not_of_the_tool_has_no_explanation() -> None:
    explained = terms(["devise", "devise_cosine", "mine"])["methods"]
    assert list(explained) == ["devise", "devise_cosine"]
    assert "the loss cosine" in explained["devise_cosine"]
    assert "the method eszsl with the prior" in terms(["eszsl_prior"])["methods"]["eszsl_prior"]
    assert not terms(["mine_prior"])["methods"]


def test_wide_tables_and_figures_scroll_inside_the_page(page: Page) -> None:
    boxes = re.findall(r'<div class="wide[^"]*">\s*<(table|svg|\?xml)', page.source)
    assert len(boxes) == len(page.all("table")) + len(page.all("svg"))
    assert "a shadow marks the edge" in page.text


def test_each_figure_is_named_and_described(page: Page) -> None:
    figures = page.all("svg")
    assert len(figures) == 5  # hit@k twice: for wide and for narrow screens
    ids = {this["id"] for _, this in page.elements if "id" in this}
    for figure in figures:
        assert figure["role"] == "img"
        assert set(str(figure["aria-labelledby"]).split()) <= ids
    assert "devise, hit@1: " in page.source
    assert "okapi (unseen): word" in page.source
    assert not re.search("|".join(VARIABLES), re.sub(r"(?s)<style>.*?</style>", "",
                                                             page.source))  # fmt: skip


def test_unseen_classes_are_sorted_with_what_the_pretraining_knew(page: Page, whole: Path) -> None:
    actual = json.loads((whole / "diagnostics.json").read_text())["classes"]
    unseen = sorted((e for e in actual if not e["seen"]), key=lambda e: -e["hit@1"])
    head, *rows = page.table("class", "hit@1 among unseen labels")
    of = [dict(zip(head, row, strict=True)) for row in rows]
    shown = [float(row["hit@1 among unseen labels"]) for row in of]
    assert shown == pytest.approx([100 * e["hit@1"] for e in unseen], abs=0.51)
    verdicts = {row["class"]: row["pretraining"] for row in of}
    assert verdicts["okapi"] == "✕ overlapping: is a kind of giraffe"
    assert verdicts["ferry"] == "✓ clean"
    audited = {row[0]: row[-1] for row in page.table("unseen class")[1:]}
    assert audited["okapi"] == "is a kind of giraffe (as okapi)"


def test_confusions_have_images_of_the_class_that_were_answered_so(page: Page, whole: Path) -> None:
    actual = json.loads((whole / "diagnostics.json").read_text())["confusions"]["unseen"]["pairs"]
    tables = [t for t in page.tables if "images answered so" in t[0]]
    assert [row[0] for row in tables[0][1:]] == [
        pair["true"].replace(EVIL, SPELT) for pair in actual[:8]
    ]
    rows = saved_rows(whole / "gallery").rows
    labels = {row.name: NAMES.index(row.label) for row in rows}
    images = page.all("img")
    assert images
    for tag in images:
        image = Image.open(io.BytesIO(base64.b64decode(str(tag["src"]).partition(",")[2])))
        assert max(image.size) == 96
        green = np.asarray(image)[..., 1].mean()
        assert green == pytest.approx(20 * labels[str(tag["alt"])], abs=4)


def test_the_same_files_give_the_same_page(whole: Path, page: Page) -> None:
    assert page_module.page(ShownRun(whole)) == page.source
    assert len(page.source) < 1_500_000


@pytest.mark.parametrize("n_processes", [1, 2])
def test_several_processes_write_the_same_page(
    whole: Path, page: Page, n_processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, forks, fork = ShownRun(whole), list[int](), os.fork
    (whole / "report.html").unlink()
    monkeypatch.setattr(os, "fork", lambda: forks.append(1) or fork())
    monkeypatch.setattr(side_work, "processors", lambda: n_processes)
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_processes)
    write_page(run, with_images=True)
    assert len(forks) == n_processes - 1
    assert (whole / "report.html").read_text(encoding="utf-8") == page.source
    assert vars(run)["images"].keys() == run.plots.keys()  # drawn already
    for name, image in ShownRun(whole).images.items():
        assert np.abs(np.asarray(image, int) - np.asarray(run.images[name], int)).mean() < 3


def test_a_page_needs_no_images(whole: Path, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(plot: Plot) -> NoReturn:
        raise OSError(f"no room for {plot.name}")

    run = ShownRun(whole)
    monkeypatch.setattr(run_page, "to_image", fails)
    write_page(run, with_images=True)
    assert (whole / "report.html").read_text(encoding="utf-8") == page.source
    assert "images" not in vars(run)  # W&B's logger draws them, and says why it cannot


def test_figures_may_come_from_elsewhere(whole: Path) -> None:
    source = page_module.page(ShownRun(whole), lambda plot: f"<svg>{plot.name} & co</svg>")
    run = ShownRun(whole)
    for plot in (*run.plots.values(), *run.narrow_plots.values()):
        assert f"<svg>{plot.name} & co</svg>" in source


ALWAYS = {"metrics.json", "config.yaml"}


@pytest.mark.parametrize(
    ("kept", "sections"),
    [
        (set(), {"methods", "run"}),
        ({"results.csv"}, {"rests", "methods", "run", "hits"}),
        ({"about.json", "classes.json"}, {"rests", "methods", "run", "audit"}),
        ({"diagnostics.json"}, SECTIONS - {"hits", "audit"}),
    ],
)
def test_sections_whose_files_are_absent_are_left_out(
    whole: Path, tmp_path: Path, kept: set[str], sections: set[str]
) -> None:
    for name in ALWAYS | kept:
        shutil.copy(whole / name, tmp_path / name)
    actual = Page(page_module.page(ShownRun(tmp_path)))
    assert {str(this["href"])[1:] for this in actual.all("a")} == sections
    assert not actual.all("img")


def test_images_that_are_gone_are_left_out(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    rows = (run / "gallery/rows.json").read_text(encoding="utf-8")
    gone = rows.replace(str(whole.parent), str(tmp_path / "gone"))
    (run / "gallery/rows.json").write_text(gone, encoding="utf-8")
    actual = json.loads((run / "diagnostics.json").read_text())["confusions"]
    shown = confusions.confusions(RunFolder(run), actual)
    assert shown
    assert not [table for table in shown if "images answered so" in table.headings]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", "{"),
        ("diagnostics.json", '{"tradeoff": {"devise": {}}}'),
        ("diagnostics.json", '{"confusions": {"unseen": {"pairs": [{}]}}}'),
        ("diagnostics.json", "[" * 9),
        ("about.json", '{"leaks": [{}], "about": {}}'),
        ("results.csv", "method,protocol\ndevise,seen\n"),
        ("neighbours.npz", "no archive"),
        ("gallery/rows.json", "{}"),
        (".hydra/overrides.yaml", "a: 1"),
        (".hydra/overrides.yaml", "["),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_written(
    whole: Path, tmp_path: Path, name: str, content: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run, ignore=shutil.ignore_patterns("report.html"))
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_text(content)
    with pytest.raises(InputError, match=re.escape(name)):
        write_html(ShownRun(run))
    assert not [path for path in run.iterdir() if "report.html" in path.name]


def test_a_folder_without_figures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no metrics\.json"):
        write_html(ShownRun(tmp_path))


# W&B


def test_an_offline_run_holds_the_figures_tables_and_page(
    whole: Path, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    from devise_exp.reports.wandb import log_curves

    for name in [n for n in os.environ if n.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(mode="offline", dir=tmp_path, project="devise-exp") as run:
        log_curves(run, ShownRun(whole))
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    summary = json.loads(wandb_inspect(file, "--summary", "--json"))["summary"]
    media = file.parent / "files"
    for name in ("hit-curves", "tradeoff", "map", "similarity"):
        entry = summary[f"plots/{name}"]
        picture = Image.open(media / entry["path"])
        assert picture.size == (entry["width"], entry["height"])
        assert picture.width > 1200
        assert len(picture.convert("L").getcolors() or []) > 20  # something is drawn
    assert (media / summary["report"]["path"]).read_text(encoding="utf-8") == page.source
    table = json.loads((media / summary["classes"]["path"]).read_text())
    actual = json.loads((whole / "diagnostics.json").read_text())["classes"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    shown = [(entry["name"].replace(EVIL, SPELT), entry["hit@1"]) for entry in actual]
    assert [(row["name"], row["hit@1"]) for row in rows] == shown
    methods = json.loads((media / summary["methods"]["path"]).read_text())
    assert [row[0] for row in methods["data"]] == ["devise", "conse", "chance"]
