"""One comparison: python experiments/comparisons/make.py NAME [OVERRIDES ...] [out=FOLDER]

NAME is a key of PLANS. Overrides of train.py, such as data.root=ROOT or seeds=5, hold for all
trials. Run folders, table.md and figure.png go to FOLDER, multirun/comparisons/NAME unless given;
a grid that is there is not run again: remove its folder to try failed trials once more.
word_vectors takes the files of GloVe 6B from the folder $GLOVE.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from devise_exp.pipelines.grid_tables import GridJob, jobs_in
from devise_exp.reports.comparison import Comparison, Line, of_recipes
from devise_exp.reports.comparison_formats import FORMATS
from devise_exp.reports.figures import style
from devise_exp.reports.figures.style import COLOURS
from devise_exp.runs.results import RunResults, runs_in

ROOT = Path(__file__).parents[2]
# Predicted classifiers would be much the same in all rows.
SHARED = ("method=none", "classifiers=none", "logger=none", "seeds=3")
# What grids say that is no part of their rows' names.
HIDDEN = {
    "split.seed", "trainer.max_epochs", "prior", "classifiers", "class_folds", "seeds", "data.root",
}  # fmt: skip
COLUMNS = ("seen hit@1", "unseen hit@1", "unseen hit@5", "calibrated H", "AUSUC")
GLOVE = ",".join(f"${{oc.env:GLOVE}}/glove.6B.{dim}d.txt" for dim in (100, 200, 300))
# Epochs for about 200 steps each, whatever the number of pictures.
CLASSES = {"9": 80, "18": 40, "36": 20, "72": 10}
PICTURES = {"1": 200, "2": 200, "5": 100, "10": 67, "20": 33, "null": 10}
# The map alone: nothing is chosen on class folds, for which nine classes are too few.
ALONE = ("prior=none", "class_folds=0")


@dataclass(frozen=True)
class Plan:
    """head: what the rows differ in; grids: of each python train.py -m its overrides; ordered:
    whether the rows are steps of one quantity.
    """

    head: str
    grids: tuple[tuple[str, ...], ...]
    ordered: bool = False


def steps(key: str, epochs: dict[str, int], *more: str) -> Plan:
    grids = [(f"{key}={n}", f"trainer.max_epochs={e}", *more) for n, e in epochs.items()]
    return Plan(key, tuple(grids), ordered=True)


BACKBONES = (
    ("backbone=efficientnet_lite0", "data.root=null"),  # the shipped features
    ("backbone=efficientnet_lite1",),
    ("backbone=efficientnet_lite2",),
    ("backbone=resnet18,resnet34,resnet50,vgg16",),
)
PROJECTIONS = (
    ("projection=linear",),
    ("projection=mlp", "projection.hidden=250,500,1000,2000"),
)
VECTORS = (
    ("word_vectors=glove_6b_50d,random,sentence_minilm",),
    ("word_vectors=glove", f"word_vectors.path={GLOVE}"),
)
PLANS = {
    "backbones": Plan("backbone", BACKBONES),
    "losses": Plan("loss", (("loss=softmax,hinge_rank,cosine,mse", "prior=none"),)),
    "projections": Plan("projection", PROJECTIONS),
    "word_vectors": Plan("word_vectors", VECTORS),
    # Other classes with each seed of the split, so one training of each.
    "seen_classes": steps("split.n_seen", CLASSES, *ALONE, "split.seed=0,1,2", "seeds=1"),
    "training_pictures": steps("split.train_per_class", PICTURES),
    "training_pictures_alone": steps("split.train_per_class", PICTURES, *ALONE),
}


def run(plan: Plan, overrides: list[str], out: Path) -> list[GridJob]:
    """The trials of all grids, in their order."""
    trials = []
    for i, told in enumerate(plan.grids):
        folder, options = out / str(i), [*SHARED, *overrides, *told]
        if not jobs_in(folder):
            command = [sys.executable, str(ROOT / "train.py"), "-m", *options]
            subprocess.run([*command, f"hydra.sweep.dir={folder}"], check=False)
        found = jobs_in(folder)
        asked = dict(each.split("=", 1) for each in options)  # the last of a key counts
        single = {f"{key}={value}" for key, value in asked.items() if "," not in value}
        same = all(single <= {*trial.overrides} for trial in found)
        if not same or len(found) < prod(len(value.split(",")) for value in asked.values()):
            raise SystemExit(f"{folder}: a grid that was stopped or told otherwise: remove it")
        trials += found
    return trials


def name_of(trial: GridJob, plan: Plan) -> str:
    """What the trial's row is called: the values that its grid gives it."""
    keys = {told.partition("=")[0] for each in plan.grids for told in each} - HIDDEN
    given = [told.partition("=") for told in trial.overrides]
    values = [value.rpartition("/")[2] for key, _, value in given if key in keys]
    return " ".join("all" if value == "null" else value for value in values)


def table_of(plan: Plan, trials: list[GridJob]) -> Comparison:
    """A line for each row of the plan, empty where all its trials failed. What differs from the
    best is marked where all rows have one split.
    """
    rows: dict[str, list[RunResults]] = {}
    for trial in trials:
        own = rows.setdefault(name_of(trial, plan), [])
        own += [] if trial.error else runs_in([trial.folder])
    done = {name: runs for name, runs in rows.items() if runs}
    if not done:
        raise SystemExit("all trials have failed, for the reasons above")
    splits = {run.metrics["split/fingerprint"] for runs in done.values() for run in runs}
    alone = [{name: runs} for name, runs in done.items()] if len(splits) > 1 else [done]
    tables = [of_recipes(plan.head, each) for each in alone]
    headed = {head: key for key, head in tables[0].columns.items()}
    shown = {headed[head]: head for head in COLUMNS if head in headed}
    cells = {
        line.names[0]: tuple(dict(zip(each.columns, line.cells, strict=True))[key] for key in shown)
        for each in tables
        for line in each.lines
    }
    lines = tuple(Line((name,), cells.get(name, (None,) * len(shown))) for name in rows)
    n = max(table.n for table in tables)
    fingerprint = splits.pop() if len(splits) == 1 else "of each row its own"
    return replace(tables[0], columns=shown, lines=lines, n=n, fingerprint=fingerprint)


def draw(plan: Plan, table: Comparison, file: Path) -> None:
    """A panel for each column, a point with its deviation for each row."""
    lines = [line for line in table.lines if any(line.cells)]
    look = {"color": COLOURS[0], "markersize": 4, "capsize": 2}
    with style.new_figure(2.6 if plan.ordered else 0.9 + 0.25 * len(lines)) as figure:
        panels = figure.subplots(1, len(table.columns), sharey=not plan.ordered)
        for i, (axes, title) in enumerate(zip(panels, table.columns.values(), strict=True)):
            known = [(line.names[0], cell) for line in lines if (cell := line.cells[i])]
            names, cells = zip(*known, strict=True)
            values = [100 * cell.value for cell in cells]
            deviations = [100 * (cell.sd or 0) for cell in cells]
            if plan.ordered:
                axes.errorbar(names, values, deviations, fmt="o-", **look)
            else:
                axes.errorbar(values, names, xerr=deviations, fmt="o", **look)
            axes.margins(0.1)
            style.label_axes(axes, title, plan.head if plan.ordered else "per cent", "")
        if not plan.ordered:
            panels[0].invert_yaxis()
        figure.savefig(file, dpi=110, facecolor="white")


def main(name: str = "", *given: str) -> None:
    if name not in PLANS:
        raise SystemExit(f"{name!r}: choose among {', '.join(PLANS)}")
    plan = PLANS[name]
    outs = [told.removeprefix("out=") for told in given if told.startswith("out=")]
    out = Path(outs[-1] if outs else f"multirun/comparisons/{name}").absolute()
    trials = run(plan, [told for told in given if not told.startswith("out=")], out)
    table = table_of(plan, trials)
    errors = [f"- {name_of(trial, plan)}: {trial.error}" for trial in trials if trial.error]
    minutes = f"{sum(trial.seconds for trial in trials) / 60:.1f} minutes for all trials."
    text = "\n".join([FORMATS["markdown"](table), *errors, "", minutes, ""])
    (out / "table.md").write_text(text, encoding="utf-8")
    print(text)
    draw(plan, table, out / "figure.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
