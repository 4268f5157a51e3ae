"""Tables, files and W&B runs of one report, parsed back and compared with its figures."""

from __future__ import annotations

import csv
import json
import os
import re
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.outputs import method_output
from helpers.wandb import wandb_inspect
from helpers.word_queries import evaluate_word_queries
from rich.console import Console

from devise_exp.core.errors import InputError
from devise_exp.evaluation import evaluator
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.image_retrieval import evaluate_image_queries
from devise_exp.evaluation.protocols import MethodOutput, standard_protocols
from devise_exp.evaluation.records import MetricRecord, parse
from devise_exp.index.exact import ExactIndex
from devise_exp.reports import run_tables, search_tables
from devise_exp.reports.metric_rows import metric_rows, names_of
from devise_exp.reports.numbers import to_precision
from devise_exp.reports.table_views import to_rich
from devise_exp.reports.titles import PROTOCOL_TITLES
from devise_exp.reports.wandb import check_wandb, log_to_wandb

ABOUT: dict[str, str | int | float] = {
    "data": "caltech101",
    "backbone": "efficientnet_lite0",
    "word_vectors": "glove_6b_50d",
    "split/fingerprint": "0123456789abcdef",
    "labels/missing": 0,
    "leak/unseen_leaked": 3,
    "index": "NmslibIndex hnsw",
}
TITLE = "a run: flat hit@k in per cent"


@pytest.fixture(scope="module")
def evaluated() -> EvalReport:
    """Three models of 40 classes, 10 of them unseen, with two extra labels; softmax is partial."""
    rng = np.random.default_rng(0)
    seen, unseen, extra = np.arange(30), np.arange(30, 40), np.array([40, 41])

    def model(name: str, noise: float, classes: int) -> MethodOutput:
        vectors = rng.normal(size=(classes, 8)).astype(np.float32)
        truths = rng.choice(seen, 90), rng.choice(unseen, 70)
        queries = [
            (vectors[t % classes] + noise * rng.normal(size=(len(t), 8))).astype(np.float32)
            for t in truths
        ]
        return method_output(name, vectors, queries[0], truths[0], queries[1], truths[1])

    models = [model("devise", 1, 42), model("softmax", 1, 30), model("conse", 2, 40)]
    chosen = standard_protocols(seen, unseen, extra)
    return evaluator.evaluate(models, chosen, ExactIndex, about=ABOUT).report


@pytest.fixture(scope="module")
def searched(evaluated: EvalReport) -> EvalReport:
    """The same with the figures of searches; softmax names seen classes only."""
    rng = np.random.default_rng(1)
    seen, unseen = np.arange(30), np.arange(30, 40)
    truths = np.concatenate([seen, rng.choice(seen, 60)]), np.repeat(unseen, 4)[:9]

    def model(name: str, noise: float, classes: int = 40) -> MethodOutput:
        vectors = rng.normal(size=(classes, 8)).astype(np.float32)
        images = [vectors[t % classes] + noise * rng.normal(size=(len(t), 8)) for t in truths]
        return method_output(name, vectors, images[0], truths[0], images[1], truths[1])

    models = [model("devise", 0.7), model("softmax", 1, 30), model("conse", 1)]
    spaces = {name: (rng.normal(size=(90, 3)), rng.normal(size=(9, 3)))
              for name in ("devise", "backbone", "classifier")}  # fmt: skip
    by_words = evaluate_word_queries(models, seen, unseen, np.arange(40) < 7)
    by_images = evaluate_image_queries(spaces, *truths)
    return evaluated.with_records(*by_words).with_records(*by_images)


def rebuilt(records: list[dict[str, Any]]) -> dict[str, float]:
    """Tidy records back to figures by name."""
    values: dict[str, float] = {}
    for r in records:
        start = "" if r["method"] == "devise" else f"method/{r['method']}/"
        ending = "/class_mean" if r["mean_over"] == "class" else ""
        name = f"{start}{r['protocol']}/hit@{r['k']}{ending}"
        values[name] = float(r["hit"])
        for bound in ("lo", "hi", "classes_lo", "classes_hi"):
            if r[bound] not in ("", None):
                values[f"{name}/{bound}"] = float(r[bound])
    return values


def rebuilt_searches(records: list[dict[str, Any]]) -> dict[str, float]:
    """Tidy records of searches back to figures by name."""
    values: dict[str, float] = {}
    for r in records:
        space = f"{r['method']}/" if r["task"] == "similar" and r["method"] != "chance" else ""
        control = r["method"] != "devise" and not space
        start = f"method/{r['method']}/" if control else ""
        name = f"{start}{r['task']}/{space}{r['protocol']}/{r['figure']}"
        values[name] = float(r["value"])
        for bound in ("lo", "hi"):
            if r[bound] not in ("", None):
                values[f"{name}/{bound}"] = float(r[bound])
    return values


def searches_of(given: EvalReport) -> dict[str, float]:
    return {n: v for n, v in given.values.items() if "search/" in n or "similar/" in n}


def hits_of(given: EvalReport) -> dict[str, float]:
    """All figures but H and the index's recall, which have no k or no protocol."""
    return {n: v for n, v in given.values.items() if "/hit@" in n}


def test_tidy_records_hold_every_figure_once(evaluated: EvalReport) -> None:
    records = run_tables.hit_records(evaluated)
    assert rebuilt(records) == hits_of(evaluated)
    assert len(records) == len({tuple(list(r.values())[:6]) for r in records})
    sizes = {r["protocol"]: (r["n_images"], r["n_labels"]) for r in records}
    assert sizes == evaluated.n
    assert evaluated.n["extra_unseen"] == (70, 42)


def test_rows_are_grouped_by_model_protocol_and_average(evaluated: EvalReport) -> None:
    rows = metric_rows(evaluated.records, "hit")
    groups = [(row.method, row.protocol, row.average) for row in rows]
    assert len(groups) == len(set(groups))
    assert ("softmax", "seen", "class") in groups
    assert ("softmax", "all_seen", "class") not in groups
    chance = next(row for row in rows if row.method == "chance" and row.protocol == "unseen")
    shares = {name: (r.value, r.low, r.high) for name, r in chance.records.items()}
    assert shares == {f"hit@{k}": (k / 10, None, None) for k in (1, 2, 3, 5)}
    assert names_of(rows) == [f"hit@{k}" for k in (1, 2, 3, 5, 10, 20)]


def test_metrics_json_is_flat_and_holds_shares(evaluated: EvalReport, tmp_path: Path) -> None:
    run_tables.write(evaluated, tmp_path, TITLE)
    read = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert read == {**ABOUT, **evaluated.values}  # every float to the last digit
    assert all(isinstance(value, str | int | float) for value in read.values())
    assert all(0 <= read[name] <= 1 for name in evaluated.values)
    assert {"seen/hit@1", "unseen/hit@1/class_mean", "all/H@1", "unseen/hit@5/class_mean/lo",
            "index/recall@10"} <= set(read)  # fmt: skip


def test_results_csv_holds_the_same_figures(evaluated: EvalReport, tmp_path: Path) -> None:
    run_tables.write(evaluated, tmp_path, TITLE)
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        assert rebuilt(list(csv.DictReader(file))) == hits_of(evaluated)


def test_writing_again_replaces_and_leaves_nothing_else(
    evaluated: EvalReport, tmp_path: Path
) -> None:
    (tmp_path / "metrics.json").write_text("old")
    run_tables.write(evaluated, tmp_path, TITLE)
    first = (tmp_path / "metrics.json").read_bytes()
    run_tables.write(evaluated, tmp_path, TITLE)
    assert (tmp_path / "metrics.json").read_bytes() == first
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"metrics.json", "results.csv", "report.md"}


def cell(values: dict[str, float], name: str) -> str:
    """What the tables show; the precision is intervals' own matter and tested there."""
    return to_precision(values[name], values.get(f"{name}/lo"), values.get(f"{name}/hi"))


def bounds(values: dict[str, float], name: str) -> str:
    decimals = len(cell(values, name).partition(".")[2])
    return " - ".join(f"{100 * values[f'{name}/{bound}']:.{decimals}f}" for bound in ("lo", "hi"))


def test_the_markdown_table_shows_the_figures_in_per_cent(evaluated: EvalReport) -> None:
    text = run_tables.markdown(evaluated, TITLE)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
    assert len({len(line) for line in cells}) == 1
    head, rows = cells[0], cells[2:]
    assert head[4:] == [*(f"hit@{k}" for k in (1, 2, 3, 5, 10, 20)), "95 % of hit@1"]
    of_title = {title: protocol for protocol, title in PROTOCOL_TITLES.items()}
    seen = set()
    for title, labels, model, average, *figures in rows:
        protocol = of_title[title]
        seen.add((protocol, model, average))
        assert labels == str(evaluated.n[protocol][1])
        start = "" if model == "devise" else f"method/{model}/"
        ending = "/class_mean" if average == "class" else ""
        for k, figure in zip((1, 2, 3, 5, 10, 20), figures, strict=False):
            name = f"{start}{protocol}/hit@{k}{ending}"
            expected = cell(evaluated.values, name) if name in evaluated.values else ""
            assert figure == expected
        name = f"{start}{protocol}/hit@1{ending}"
        if model != "chance":
            assert figures[-1] == bounds(evaluated.values, name)
    for protocol in evaluated.n:
        assert {(protocol, "devise", "image"), (protocol, "devise", "class"),
                (protocol, "chance", "image")} <= seen  # fmt: skip
    assert ("unseen", "conse", "class") in seen
    assert f"H@1 {cell(evaluated.values, 'all/H@1')}" in text
    assert "split/fingerprint 0123456789abcdef" in text
    assert "index/recall@10 1" in text


def test_all_tables_lead_with_what_a_user_of_the_model_gets() -> None:
    order = ("calibrated_seen", "calibrated_unseen", "seen", "unseen", "all_seen", "all_unseen")
    evaluated_in = (*order[2:], *order[:2], "unseen_clean")
    records = [
        MetricRecord(protocol=protocol, metric="hit", k=1, average=average, value=0.5)
        for protocol in evaluated_in
        for average in ("image", "class")
    ]
    combined = {("all", "H", 1): 0.05, ("calibrated", "H", 1): 0.4, ("calibrated", "gamma"): 0.2149}
    records += [
        MetricRecord(protocol=protocol, metric=metric, k=k[0] if k else None, value=value)
        for (protocol, metric, *k), value in combined.items()
    ]
    report = EvalReport(tuple(records), dict(ABOUT), dict.fromkeys(evaluated_in, (90, 40)))
    titles = [PROTOCOL_TITLES[protocol] for protocol in (*order, "unseen_clean")]
    headings = [row[0].split(" (")[0] for row in run_tables.hit_table(report).rows if len(row) == 1]
    assert headings == titles
    lines = run_tables.markdown(report, TITLE).splitlines()
    cells = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    assert list(dict.fromkeys(cells[2:])) == titles
    caption = "H@1, calibrated 40.0 · gamma 0.21 · H@1 5.0 · data caltech101 · "
    assert run_tables.caption(report).startswith(caption)


def printed(given: EvalReport, width: int) -> str:
    out = StringIO()
    Console(file=out, width=width).print(to_rich(run_tables.hit_table(given, TITLE), ruled=True))
    return out.getvalue()


def numbers(line: str) -> list[str]:
    """Figures in per cent: not part of a word, a count or a heading."""
    return re.findall(r"(?<![\w@.,/-])\d+(?:\.\d+)?(?![\w.,%/]| %)", line)


def test_the_printed_table_shows_the_same_within_120_columns(evaluated: EvalReport) -> None:
    text = printed(evaluated, 120)
    assert max(len(line) for line in text.splitlines()) <= 120
    assert "…" not in text
    lines = text.splitlines()
    for protocol, (images, labels) in evaluated.n.items():
        heading = f"{PROTOCOL_TITLES[protocol]} ({images} images, {labels} labels)"
        at = next(i for i, line in enumerate(lines) if heading in line)
        per_image = lines[at + 1]
        assert "devise, per image" in per_image
        ks = [k for k in (1, 2, 3, 5, 10, 20) if k < labels]
        expected = [cell(evaluated.values, f"{protocol}/hit@{k}") for k in ks]
        expected += bounds(evaluated.values, f"{protocol}/hit@1").split(" - ")
        assert numbers(per_image) == expected
        per_class = numbers(lines[at + 2])
        assert per_class[0] == cell(evaluated.values, f"{protocol}/hit@1/class_mean")


def test_long_numbers_of_images_still_fit_120_columns(evaluated: EvalReport) -> None:
    wide = EvalReport(evaluated.records, ABOUT, dict.fromkeys(evaluated.n, (15_000, 1_000)))
    text = printed(wide, 120)
    assert "unseen among unseen (15,000 images, 1,000 labels)" in text
    assert sorted(numbers(text)) == sorted(numbers(printed(wide, 300)))


def test_a_narrow_terminal_loses_no_figure(evaluated: EvalReport) -> None:
    assert sorted(numbers(printed(evaluated, 80))) == sorted(numbers(printed(evaluated, 120)))


def test_output_to_a_file_is_never_cut(
    evaluated: EvalReport, capsys: pytest.CaptureFixture[str]
) -> None:
    ks = range(1, 11)
    values = {f"unseen/hit@{k}": k / 10 for k in ks}
    run_tables.show(EvalReport(parse(values), ABOUT, {"unseen": (70, 10)}), TITLE)
    text = capsys.readouterr().out
    assert "…" not in text
    assert all(f"hit@{k}" in text and f"{10.0 * k:.1f}" in text for k in ks)


def test_one_protocol_alone_is_reported(tmp_path: Path) -> None:
    values = {"unseen/hit@2": 0.5, "unseen/hit@2/lo": 0.25, "unseen/hit@2/hi": 0.75}
    alone = EvalReport(parse(values), {}, {"unseen": (4, 3)})
    run_tables.write(alone, tmp_path, TITLE)
    line = next(x for x in (tmp_path / "report.md").read_text().splitlines() if "devise" in x)
    assert line == "| unseen among unseen | 3 | devise | image | 50 |  |"  # no hit@1, no interval
    this = next(x for x in printed(alone, 120).splitlines() if "devise" in x)
    assert numbers(this) == ["50"]


# Searches


def test_further_figures_come_after_those_of_hit_at_k(
    evaluated: EvalReport, searched: EvalReport
) -> None:
    assert list(searched.values)[: len(evaluated.values)] == list(evaluated.values)
    assert {n: searched.values[n] for n in evaluated.values} == evaluated.values
    assert searched.n.items() > evaluated.n.items()
    assert searched.about == evaluated.about
    assert {n for n in searched.values if n not in evaluated.values} == set(searches_of(searched))


def test_the_hit_at_k_table_and_file_are_the_same_with_searches(
    evaluated: EvalReport, searched: EvalReport, tmp_path: Path
) -> None:
    assert metric_rows(searched.records, "hit") == metric_rows(evaluated.records, "hit")
    assert run_tables.hit_records(searched) == run_tables.hit_records(evaluated)
    assert printed(searched, 120) == printed(evaluated, 120)
    run_tables.write(searched, tmp_path, TITLE)
    start = run_tables.markdown(evaluated, TITLE).rstrip("\n")
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith(start)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"metrics.json", "results.csv", "search.csv", "report.md"}
    read = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert read == {**ABOUT, **searched.values}


def test_search_csv_holds_every_figure_of_a_search_once(
    searched: EvalReport, tmp_path: Path
) -> None:
    records = search_tables.search_records(searched)
    assert rebuilt_searches(records) == searches_of(searched)
    assert len(records) == len({(r["method"], r["task"], r["protocol"], r["figure"])
                                for r in records})  # fmt: skip
    run_tables.write(searched, tmp_path, TITLE)
    with (tmp_path / "search.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert rebuilt_searches(read) == searches_of(searched)
    sizes = {f"{r['task']}/{r['protocol']}": (int(r["n_queries"]), int(r["n_pictures"]))
             for r in read}  # fmt: skip
    assert sizes == {n: size for n, size in searched.n.items() if "/" in n}
    assert sizes["search/unseen_pairs"] == (3, 9)
    assert {r["method"] for r in read if r["task"] == "similar"} == {
        "devise", "backbone", "classifier", "chance"
    }  # fmt: skip


def expected_lines(given: EvalReport, task: str) -> list[list[str]]:
    """[queries over gallery, model or space, figures ...] of the tables, made from the figures."""
    figures = ["P@1", "P@5", "P@10", "mAP"]
    lines = []
    for protocol in (p for p in given.n if p.startswith(f"{task}/")):
        queries, images = given.n[protocol]
        name = protocol.split("/")[1]
        models = ["devise", "softmax", "conse"] if task == "search" else ["devise", "backbone",
                                                                          "classifier"]  # fmt: skip
        for model in (*models, "chance"):
            if task == "similar" and model != "chance":
                start = f"similar/{model}/{name}"
            else:
                start = protocol if model == "devise" else f"method/{model}/{protocol}"
            if f"{start}/mAP" not in given.values:
                continue
            cells = [cell(given.values, f"{start}/{f}") if f"{start}/{f}" in given.values else ""
                     for f in figures]  # fmt: skip
            this = "" if model == "chance" else bounds(given.values, f"{start}/mAP")
            lines.append([str(queries), str(images), model, *cells, this])
    return lines


def test_the_markdown_tables_of_searches_show_the_figures(searched: EvalReport) -> None:
    text = run_tables.markdown(searched, TITLE)
    for task, heading in (("search", "search by class names"), ("similar", "search by an image")):
        part = text.split(f"## {heading}")[1].split("##")[0]
        lines = [line for line in part.splitlines() if line.startswith("|")]
        cells = [[item.strip() for item in line.strip("|").split("|")] for line in lines]
        assert cells[0][2:] == ["P@1", "P@5", "P@10", "mAP", "95 % of mAP"]
        result = [[*re.findall(r"\d+", queries), *rest] for queries, *rest in cells[2:]]
        assert result == expected_lines(searched, task)
    assert "3 pairs of unseen names over 9 unseen images | devise" in text
    assert "90 seen images over" not in text  # an image alone in its class does not ask
    assert text.endswith("|\n")


def test_the_printed_tables_of_searches_show_the_same(searched: EvalReport) -> None:
    for task, table in zip(
        ("search", "similar"), search_tables.search_tables(searched), strict=True
    ):
        expected = expected_lines(searched, task)
        for width in (80, 120):
            out = StringIO()
            Console(file=out, width=width).print(to_rich(table, ruled=True))
            text = out.getvalue()
            assert max(len(line) for line in text.splitlines()) <= width
            assert "…" not in text
            models = "devise|softmax|conse|backbone|classifier|chance"
            lines = [line for line in text.splitlines() if re.search(rf"({models}) +\d", line)]
            result = [numbers(re.split(models, line, maxsplit=1)[1]) for line in lines]
            assert result == [numbers(" ".join(line[3:])) for line in expected]
            named = [re.search(models, line) for line in lines]
            assert [m.group() for m in named if m] == [line[2] for line in expected]


def test_queries_stand_on_one_line_of_120_columns(searched: EvalReport) -> None:
    sizes = {n: (300, 1_575) if "/" in n else size for n, size in searched.n.items()}
    values = {n.replace("conse", "random_vectors"): 0.5 for n in searched.values}  # the longest
    search, similar = search_tables.search_tables(EvalReport(parse(values), ABOUT, sizes))
    for table, queries in (
        (search, "300 pairs of unseen names over 1,575 unseen images "),
        (similar, "300 unseen images over 1,575 others "),
    ):
        out = StringIO()
        Console(file=out, width=120).print(to_rich(table, ruled=True))
        assert queries in out.getvalue()
        assert "50.0 - 50.0" in out.getvalue()


def test_all_tables_are_printed(
    evaluated: EvalReport, searched: EvalReport, capsys: pytest.CaptureFixture[str]
) -> None:
    run_tables.show(searched, TITLE)
    text = capsys.readouterr().out
    at = [text.index(words) for words in (TITLE, "search by class names", "search by an image")]
    assert at == sorted(at)
    run_tables.show(evaluated, TITLE)
    assert "search" not in capsys.readouterr().out


# W&B


def test_two_offline_runs_in_one_process_hold_their_own_figures(
    evaluated: EvalReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    for name in [n for n in os.environ if n.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_SILENT", "true")
    lower = EvalReport(parse({n: v / 2 for n, v in evaluated.values.items()}), ABOUT, evaluated.n)
    for name, given in (("one", evaluated), ("two", lower)):
        (tmp_path / name).mkdir()
        logger = WandbLogger(save_dir=tmp_path / name, name=name, offline=True, mode="offline")
        log_to_wandb(logger, given, tmp_path / name)
        wandb.finish()
    ids = set()
    for name, given in (("one", evaluated), ("two", lower)):
        (file,) = (tmp_path / name).glob("wandb/offline-run-*/run-*.wandb")
        run = json.loads(wandb_inspect(file, "--summary", "--json"))
        ids.add(run["run_id"])
        assert (run["name"], run["state"], run["exit_code"]) == (name, "finished", 0)
        summary = run["summary"]
        assert {n: summary[n] for n in given.values} == pytest.approx(given.values, abs=1e-12)
        assert {n: summary[n] for n in ABOUT} == ABOUT
        assert summary["run_folder"] == str(tmp_path / name)
        (saved,) = file.parent.glob("files/media/table/results*.table.json")
        table = json.loads(saved.read_text())
        records = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
        assert rebuilt(records) == pytest.approx(hits_of(given), abs=1e-12)
    assert len(ids) == 2


def test_logging_online_without_an_account_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    check_wandb(offline=True)
    with pytest.raises(InputError, match=r"logger\.offline=false .*wandb login.*WANDB_API_KEY"):
        check_wandb(offline=False)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    check_wandb(offline=False)
