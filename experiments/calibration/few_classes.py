"""What does gamma lose where seen classes are few, and do more folds and a default help?

python experiments/calibration/few_classes.py > tables.md
python experiments/calibration/few_classes.py 2 > tables.md      # two draws of classes, not twelve
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy.linalg

from devise_exp.core.config import compose_config
from devise_exp.data.class_folds import folds_of
from devise_exp.evaluation.metrics.best_gamma import best_gamma, harmonic_means, regret
from devise_exp.methods.baselines import ESZSL, SAE, RidgeToFeatures
from devise_exp.methods.gamma import SHARE, FoldAnswers, choose_gamma, mean_gap
from devise_exp.methods.method import FittedMethod, Method
from devise_exp.methods.selection import choose_hyperparameters, fold_answers
from devise_exp.methods.task import ClassFold, GuardedFeatures, Task, class_fold
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.prepare import features_of, prepare

SIZES = (8, 12, 20, 40, 72)
DRAWS = 12
DIM = 128  # principal components of the features: a fit takes milliseconds
METHODS = (ESZSL(), SAE(), RidgeToFeatures())
RULES = ("two folds", "more folds", "their median", "default alone", "chosen")
Results = defaultdict[tuple[int, str, str], list[float]]  # seen classes, unseen ones, what


def main() -> None:
    """Print the tables."""
    config = compose_config(["logger=none"])
    data = prepare(config)
    features = _components(data, np.asarray(features_of(config, data), dtype=np.float32))
    results: Results = defaultdict(list)
    for draw in range(int(sys.argv[1]) if sys.argv[1:] else DRAWS):
        for size in SIZES:
            task, unseen = _subset(data, features, size, draw)
            for method in METHODS:
                _measure(method, data, task, unseen, draw, results)
    print("\n".join(_tables(results)))


def _components(data: ExperimentData, features: np.ndarray) -> np.ndarray:
    """The features along their DIM principal axes, which training and validation rows decide."""
    rows = features[np.concatenate([data.split.train, data.split.val])]
    axes = scipy.linalg.eigh(rows.T @ rows)[1][:, ::-1][:, :DIM]
    return np.asarray(features @ axes)


def _subset(
    data: ExperimentData, features: np.ndarray, size: int, draw: int
) -> tuple[Task, dict[str, np.ndarray]]:
    """Draw `size` of the 72 seen classes, and a share of the 25 unseen ones beside all of them."""
    rng = np.random.default_rng([draw, size])
    seen = np.sort(rng.choice(data.split.seen, size, replace=False))
    third = max(3, round(size * len(data.split.unseen) / len(data.split.seen)))
    some = np.sort(rng.choice(data.split.unseen, third, replace=False))
    task = data.task(features, 0)
    train, val = (rows[np.isin(data.class_ids[rows], seen)] for rows in (task.train, task.val))
    opened = np.zeros(len(features), dtype=bool)
    opened[np.concatenate([train, val])] = True
    task = replace(
        task, seen=seen, train=train, val=val, features=GuardedFeatures(features, opened)
    )
    return task, {"a third of the seen ones": some, "all 25": data.split.unseen}


def _measure(
    method: Method,
    data: ExperimentData,
    task: Task,
    unseen_sets: dict[str, np.ndarray],
    draw: int,
    results: Results,
) -> None:
    """Fit, choose gamma by every rule, and note what each loses on test images."""
    folds = _folds(task, draw)
    chosen = choose_hyperparameters(method, task, folds[:2])
    many = [fold_answers(method.fit(fold.task, chosen), task, fold) for fold in folds]
    fitted, size = method.fit(task, chosen), len(task.seen)
    best = [best_gamma(fold.curve) for fold in many]
    gammas = {
        "two folds": float(np.mean(best[:2])),
        "more folds": float(np.mean(best)),
        "their median": float(np.median(best)),
        "default alone": SHARE * float(np.mean([mean_gap(fold.seen) for fold in many])),
        "chosen": choose_gamma(many, size).value,
    }
    for unseen, ids in unseen_sets.items():
        curve = _test(fitted, data, task, ids).curve
        results[size, unseen, "best H"].append(float(harmonic_means(curve).max()))
        for rule, gamma in gammas.items():
            results[size, unseen, rule].append(regret(curve, gamma))


def _folds(task: Task, draw: int) -> list[ClassFold]:
    """As many folds as a run has, of any of its seen classes."""
    rng, size = np.random.default_rng([draw, len(task.seen), 1]), max(2, round(len(task.seen) / 5))
    folds: list[ClassFold] = []
    while len(folds) < folds_of(len(task.seen)):
        ids = rng.permutation(task.seen)
        for start in range(0, len(ids) - size + 1, size):
            folds.append(class_fold(task, np.sort(ids[start : start + size])))
    return folds[: folds_of(len(task.seen))]


def _test(
    fitted: FittedMethod, data: ExperimentData, task: Task, unseen: np.ndarray
) -> FoldAnswers:
    """The answers to test images of seen classes and to all images of the unseen ones."""
    ids, split = data.class_ids, data.split
    seen_rows = split.test[np.isin(ids[split.test], task.seen)]
    unseen_rows = split.unseen_rows[np.isin(ids[split.unseen_rows], unseen)]
    features = task.features.features
    opened = GuardedFeatures(features, np.ones(len(features), dtype=bool))
    whole = replace(task, features=opened, unseen=np.sort(unseen))
    return fold_answers(fitted, whole, ClassFold(whole, seen_rows, unseen_rows))


def _tables(results: Results) -> Iterator[str]:
    """The lines of the tables: mean, 90th percentile and worst of what gamma loses of H."""
    for unseen in dict.fromkeys(key[1] for key in results):
        yield f"## Unseen classes: {unseen}"
        yield ""
        yield "| seen classes | folds | fits | best H | " + " | ".join(RULES) + " |"
        yield "| ---: " * (4 + len(RULES)) + "|"
        for size in SIZES:
            best = results[size, unseen, "best H"]
            cells = [str(size), str(folds_of(size)), str(len(best)), f"{100 * np.mean(best):.1f}"]
            for rule in RULES:
                lost = 100 * np.array(results[size, unseen, rule])
                cells.append(f"{lost.mean():.1f} ({np.quantile(lost, 0.9):.1f}, {lost.max():.1f})")
            yield f"| {' | '.join(cells)} |"
        yield ""


if __name__ == "__main__":
    main()
