"""The results of finished runs."""

from __future__ import annotations

from pathlib import Path

from devise_exp.evaluation.records import MetricName
from devise_exp.runs.results import RunResults, competes, differing, flat_settings, group_by_seed


def results(seed: int = 0, **settings: object) -> RunResults:
    metrics = {
        "split/fingerprint": "aaaa",
        "unseen/hit@1": 0.3,
        "unseen/hit@1/class_mean": 0.25,
        "method/conse/all/H@1": 0.2,
        "method/chance/unseen/hit@1": 0.04,
        "similar/backbone/seen/mAP": 0.5,
    }
    return RunResults(Path("run"), {"seed": seed, **settings}, metrics)


def test_metrics_are_read_by_method_and_name() -> None:
    run = results()
    assert run.methods == ["devise", "conse", "chance"]
    assert run.fingerprint == "aaaa"
    assert run.value("devise", MetricName("unseen", "hit", 1, "class")) == 0.25
    assert run.value("devise", MetricName("unseen", "hit", 1, "image")) == 0.3
    assert run.value("conse", MetricName("all", "H", 1)) == 0.2
    assert run.value("conse", MetricName("all", "AUSUC")) is None
    assert run.value("devise", MetricName("similar/seen", "mAP")) is None  # of no one space


def test_chance_is_the_same_for_both_averages() -> None:
    for average in ("image", "class"):
        assert results().value("chance", MetricName("unseen", "hit", 1, average)) == 0.04


def test_chance_and_published_results_do_not_compete() -> None:
    assert [competes(m) for m in ("devise", "chance", "published_devise")] == [True, False, False]


def test_settings_are_flat_and_leave_out_what_changes_no_metric() -> None:
    config = {
        "seed": 1,
        "loss": {"_target_": "devise_exp.methods.losses.cosine", "margin": 0.1},
        "logger": {"offline": True},
        "resume": None,
    }
    assert flat_settings(config) == {"seed": 1, "loss": "cosine", "loss.margin": 0.1}


def test_runs_that_differ_in_the_seed_alone_are_one_group() -> None:
    runs = [results(1, lr=0.1), results(0, lr=0.1), results(0, lr=0.2), results(1, lr=0.1)]
    groups = group_by_seed(runs)
    seeds = [[run.settings["seed"] for run in group] for group in groups]
    assert seeds == [[0, 1], [0], [1]]  # the second run of seed 1 starts a group
    assert differing(runs) == ["seed", "lr"]
