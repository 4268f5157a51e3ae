"""The predictions of runs: the file beside the metrics gives them, as CSV and as Parquet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.evaluation.records import parse
from devise_exp.pipelines import reevaluation
from devise_exp.pipelines.settings import read_evaluation


def check_hits(run: Path, folder: Path, table: pd.DataFrame) -> set[str]:
    """Compare hit@k of the trained model in metrics.json; return the protocols."""
    records = parse(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
    classes = json.loads((run / "classes.json").read_text(encoding="utf-8"))
    names = [record["name"] for record in classes]  # numbers are added up in the order of ids
    hits = [r for r in records if (r.metric, r.method) == ("hit", "devise") and r.protocol != "val"]
    for record in hits:
        rows = table[(table["protocol"] == record.protocol) & (table["method"] == "devise")]
        hit = rows["rank"] <= record.k
        of_class = hit.groupby(rows["class"]).mean().reindex(names).dropna()
        of_classes = float(of_class.to_numpy().mean())
        assert record.value == (hit.mean() if record.average == "image" else of_classes), record
    return {record.protocol for record in hits}


def test_a_training_writes_predictions_that_give_its_metrics(
    series: tuple[Path, dict[str, float]],
) -> None:
    folder = series[0] / "seed=1"
    table = pd.read_csv(folder / "predictions.csv")
    protocols = check_hits(folder, folder, table)
    assert {"calibrated_seen", "calibrated_unseen", "all_seen", "unseen"} <= protocols
    assert set(table["protocol"]) == protocols
    assert set(table["part"]) == {"test", "unseen"}
    split = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    assert table[table["protocol"] == "unseen"]["image"].tolist() == split["unseen"]


def test_an_evaluation_writes_those_of_further_labels_as_parquet(
    searchable: Path, composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    run = shutil.copytree(searchable, tmp_path / "run")
    options = ("extra_labels=[window,river]", "predictions.format=parquet", "predictions.labels=9")
    reevaluation.evaluate(composed(f"run_dir={run}", *options, name="evaluate"))
    folder = run / "evaluations" / "1"
    table = pd.read_parquet(folder / "predictions.parquet")
    assert "extra_unseen" in check_hits(run, folder, table)
    extra = table[table["protocol"] == "extra_seen"]
    assert (extra[[f"label_{k}" for k in range(1, 10)]] == "river").any(axis=1).any()
    assert table[table["protocol"] == "unseen"]["label_9"].isna().all()
    assert table["path"].map(lambda path: Path(path).is_file()).all()
    assert table["similarity_1"].dtype == np.float32


def test_an_evaluation_of_other_images_lists_those(
    searchable: Path, composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    run = shutil.copytree(searchable, tmp_path / "run")
    (run / "training_contents.json").unlink()
    root = searchable.parent / "images"
    options = (f"data.root={root}", "predictions.max_images=7", "index=exact")
    reevaluation.evaluate(composed(f"run_dir={run}", *options, name="evaluate"))
    table = pd.read_csv(run / "evaluations" / "1" / "predictions.csv")
    assert (table.groupby("protocol").size() == 7).all()
    assert all(row.path == str(root / row.image) for row in table.itertuples())
    assert all(str(row.image).startswith(f"{row[3]}/") for row in table.itertuples())


def test_none_is_written_where_none_is_asked_for_and_a_wrong_option_is_one_line(
    searchable: Path, composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    run = shutil.copytree(searchable, tmp_path / "run")
    config = composed(f"run_dir={run}", "predictions.format=none", name="evaluate")
    reevaluation.evaluate(config)
    assert not list((run / "evaluations" / "1").glob("predictions*"))
    config = composed(f"run_dir={run}", "predictions.format=xlsx", name="evaluate")
    with pytest.raises(InputError, match=r"predictions\.format=xlsx: give csv, parquet or none"):
        read_evaluation(config)
