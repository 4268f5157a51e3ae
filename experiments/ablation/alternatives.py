"""Would other predicted classifiers be better than those that class folds choose among?

python experiments/ablation/alternatives.py [OPTION=VALUE of train.py ...]

The predicted classifiers alone, on the split of the default run and on three more clean ones: other
widths tau, ridges and shrinkages; the mean over several classifiers; and CSLS (Conneau et al.
2018), which subtracts half the mean similarity of a label to its k nearest training images. Per
cent, means over the splits: the AUSUC on class folds, which a run chooses by, and of the test the
AUSUC, the best H and unseen hit@1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from hydra import compose, initialize_config_dir

from devise_exp.core.paths import CONF
from devise_exp.core.row_shards import Rows
from devise_exp.core.vectors import normalize_rows
from devise_exp.evaluation.metrics.tradeoff import Tradeoff, ausuc, top_answers
from devise_exp.methods.baselines.predicted_classifiers import PredictedClassifiers
from devise_exp.methods.method import Hyperparameters
from devise_exp.methods.task import Task
from devise_exp.methods.word_classifiers import WordClassifiers
from devise_exp.pipelines.distributed import features
from devise_exp.pipelines.prepare import prepare

CLEAN = ["split=clean", "split.n_unseen=25"]
SPLITS = [[], *([*CLEAN, f"split.seed={seed}"] for seed in (100, 101, 102))]
DEFAULT = {"shrinkage": 0.5, "tau": 0.15, "ridge": 0.3}
TAUS, SHRINKAGES = (0.08, 0.15, 0.3), (0.1, 0.5, 0.9)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """Predicted classifiers of a task, and the images of seen and unseen classes to try them on."""

    task: Task
    solve: Callable[[Hyperparameters], WordClassifiers]
    rows: tuple[np.ndarray, np.ndarray]
    features: Rows
    class_ids: np.ndarray

    def words(self, **changes: float) -> np.ndarray:
        """(C, d) weights, with some hyperparameters changed."""
        return self.solve(DEFAULT | changes).of_words(self.task.class_vectors)

    def images(self, features: np.ndarray) -> np.ndarray:
        """(n, d) images about their centre."""
        return self.solve(DEFAULT).of_images(features.astype(np.float32))


Words = Callable[[Trial], np.ndarray]


def measured(trial: Trial, words: Words, csls: int) -> tuple[float, float, float]:
    """AUSUC, the best H and unseen hit@1; `csls` images count in CSLS, 0: no CSLS."""
    task, weights = trial.task, words(trial)
    hubs = np.zeros(len(weights), dtype=np.float32)
    if csls:
        similar = trial.images(task.features[task.train]) @ weights.T
        hubs = np.partition(similar, -csls, axis=0)[-csls:].mean(axis=0) / 2
    sides = []
    for rows in trial.rows:
        similarity = trial.images(trial.features[rows]) @ weights.T - hubs
        best = [nearest(similarity, labels) for labels in (task.seen, task.unseen)]
        sides.append(top_answers(*best, trial.class_ids[rows]))
    curve = Tradeoff(*sides).curve()
    harmonic = 2 * curve.seen * curve.unseen / np.maximum(curve.seen + curve.unseen, 1e-9)
    return ausuc(curve), float(harmonic.max()), float(curve.unseen.max())


def nearest(similarity: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of some labels (n, 1), and its similarity (n, 1)."""
    among = similarity[:, labels]
    best = among.argmax(axis=1)[:, None]
    return labels[best], np.take_along_axis(among, best, axis=1)


def mean_over(taus: Sequence[float], shrinkages: Sequence[float]) -> Words:
    """The mean of several classifiers."""
    return lambda trial: normalize_rows(
        np.sum([trial.words(tau=t, shrinkage=a) for t in taus for a in shrinkages], axis=0)
    )


def changed(**changes: float) -> Words:
    """Classifiers with some hyperparameters changed."""
    return lambda trial: trial.words(**changes)


VARIANTS: dict[str, tuple[Words, int]] = {
    "shrinkage 0.5, tau 0.15, ridge 0.3": (changed(), 0),
    **{f"shrinkage {a}": (changed(shrinkage=a), 0) for a in (0.1, 0.9)},
    **{f"tau {tau}": (changed(tau=tau), 0) for tau in (0.08, 0.1, 0.12, 0.2, 0.3)},
    **{f"ridge {ridge:g}": (changed(ridge=ridge), 0) for ridge in (0.1, 1.0, 3.0)},
    "mean over tau": (mean_over(TAUS, (0.5,)), 0),
    "mean over tau and shrinkage": (mean_over(TAUS, SHRINKAGES), 0),
    **{f"CSLS, k {k}": (changed(), k) for k in (10, 100, 500)},
}


def trials(options: list[str]) -> tuple[list[Trial], Trial]:
    """Of the class folds of a split, and of its test."""
    config = compose("config", overrides=options)
    data = prepare(config, None)
    bank, split, method = features(config, data), data.split, PredictedClassifiers()
    task = data.task(bank, config.seed)
    folds = [
        Trial(
            task=fold.task,
            solve=method.classifiers(fold.task),
            rows=(fold.seen_rows, fold.unseen_rows),
            features=task.features,
            class_ids=data.class_ids,
        )
        for fold in data.class_folds(task)
    ]
    return folds, Trial(
        task=task,
        solve=method.classifiers(task),
        rows=(split.test, split.unseen_rows),
        features=bank,
        class_ids=data.class_ids,
    )


def main(options: list[str]) -> None:
    with initialize_config_dir(str(CONF), version_base=None):
        splits = [trials([*options, *split]) for split in SPLITS]
    print("| | AUSUC on class folds | AUSUC | best H | unseen hit@1 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (words, csls) in VARIANTS.items():
        on_folds = [measured(fold, words, csls)[0] for folds, _ in splits for fold in folds]
        of_test = np.mean([measured(test, words, csls) for _, test in splits], axis=0)
        values = [np.mean(on_folds), *of_test]
        print(f"| {name} | {' | '.join(f'{100 * v:.1f}' for v in values)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
