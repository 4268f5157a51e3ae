"""How tables say how sure gamma is, from an evaluation of real rankings."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.outputs import method_output

from devise_exp.evaluation import evaluator
from devise_exp.evaluation.evaluator import Evaluation
from devise_exp.evaluation.gamma_spread import GammaSpread
from devise_exp.evaluation.protocols import MethodOutput, standard_protocols
from devise_exp.evaluation.records import MetricRecord, flatten, parse
from devise_exp.index.exact import ExactIndex
from devise_exp.reports import run_tables
from devise_exp.reports.gamma_rows import gamma_line, gamma_rows
from devise_exp.runs.arrays import from_output, to_output

SEEN, UNSEEN = np.arange(6), np.arange(6, 10)
SPREAD = GammaSpread(per_fold=(0.1, 0.3), low=0.05, high=0.35)
ABOUT: dict[str, str | int | float] = {"data": "d", "backbone": "b", "word_vectors": "w"}


def output_of(name: str, spread: GammaSpread | None) -> MethodOutput:
    """Images near their class vectors, seen ones nearer."""
    rng = np.random.default_rng(len(name))
    vectors = rng.normal(size=(10, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    truths = np.repeat(SEEN, 4), np.repeat(UNSEEN, 6)
    queries = []
    for truth, noise in zip(truths, (0.3, 0.5), strict=True):
        rows = vectors[truth] + noise * rng.normal(size=(len(truth), 5))
        rows += 0.2 * vectors[0]  # a leaning to a seen class
        queries.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    output = method_output(name, vectors, queries[0], truths[0], queries[1], truths[1])
    return replace(output, gamma=0.2, gamma_spread=spread)


@pytest.fixture(scope="module")
def evaluated() -> Evaluation:
    models = [output_of("devise", SPREAD), output_of("conse", None)]
    protocols = standard_protocols(SEEN, UNSEEN, calibrated=True)
    return evaluator.evaluate(models, protocols, ExactIndex, [1], dict(ABOUT))


def test_the_regret_is_the_greatest_h_over_all_gammas_less_that_of_the_chosen_one(
    evaluated: Evaluation,
) -> None:
    values = evaluated.report.values
    for method, prefix in (("devise", ""), ("conse", "method/conse/")):
        curve = evaluated.curves[method]
        ends = [curve.critical[0] - 1, *curve.critical]
        means = [curve.at(g) for g in ends]
        greatest = max(2 * s * u / (s + u) if s + u else 0.0 for s, u in means)
        lost = greatest - values[f"{prefix}calibrated/H@1"]
        assert values[f"{prefix}calibrated/regret"] == pytest.approx(lost, abs=1e-12)
        seen, unseen = curve.at(values[f"{prefix}calibrated/best_factor"])
        assert 2 * seen * unseen / (seen + unseen) == pytest.approx(greatest, abs=1e-12)
        assert lost >= 0


def test_the_interval_and_the_folds_stand_beside_gamma(evaluated: Evaluation) -> None:
    values = evaluated.report.values
    assert values["calibrated/factor"] == 0.2
    assert (values["calibrated/factor/lo"], values["calibrated/factor/hi"]) == (0.05, 0.35)
    assert (values["calibrated/fold_factor@1"], values["calibrated/fold_factor@2"]) == (0.1, 0.3)
    assert "method/conse/calibrated/factor" in values
    assert "method/conse/calibrated/factor/lo" not in values
    back = parse(json.loads(json.dumps(values)))
    assert flatten(back) == values


def test_the_line_and_the_rows_say_how_sure_gamma_is(evaluated: Evaluation) -> None:
    records = evaluated.report.records
    rows = gamma_rows(records)
    assert list(rows) == ["devise", "conse"]
    assert rows["devise"].folds == "0.100, 0.300"
    assert rows["devise"].interval == "0.050 – 0.350"
    assert (rows["conse"].folds, rows["conse"].interval) == ("", "")
    lost = 100 * evaluated.report.values["calibrated/regret"]
    best = evaluated.report.values["calibrated/best_factor"]
    line = (
        f"gamma 0.2 (95 % 0.050 – 0.350, 2 class folds); in hindsight the best gamma, {best:.3f}, "
        f"had {lost:.1f} more H"
    )
    assert gamma_line(records) == line
    assert line in run_tables.caption(evaluated.report)


def test_a_run_without_gamma_or_of_before_says_what_it_knows() -> None:
    assert gamma_line([]) == ""
    older = [MetricRecord(protocol="calibrated", metric="gamma", value=0.1)]
    assert gamma_line(older) == "gamma 0.1"


@pytest.mark.parametrize("spread", [SPREAD, None])
def test_the_arrays_of_a_run_keep_how_sure_gamma_is(spread: GammaSpread | None) -> None:
    output = output_of("devise", spread)
    assert to_output("devise", from_output(output), 10).gamma_spread == spread
