"""What lifts hit@1 of unseen classes: losses, the prior's weight and form, hubness, class vectors.

python experiments/prior/ablation.py > tables.md
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from statistics import mean, stdev
from unittest.mock import patch

import numpy as np
import torch
from hydra import compose, initialize
from rich.console import Console
from rich.progress import track
from torch import nn

from devise_exp.core.vectors import centre_of, normalize_rows
from devise_exp.evaluation.metrics import tradeoff
from devise_exp.evaluation.metrics.best_gamma import best_gamma
from devise_exp.evaluation.metrics.tradeoff import Curve, top_answers, tradeoff_curve
from devise_exp.methods import additions
from devise_exp.methods.additions import Project
from devise_exp.methods.baselines import ESZSL, SAE, RidgeToFeatures
from devise_exp.methods.devise_model import cached_per_task, devise
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.method import FittedMethod
from devise_exp.methods.prior import Prior, Priors, conse
from devise_exp.methods.selection import fit_method
from devise_exp.methods.task import ClassFold, Task, class_fold
from devise_exp.pipelines.fit import fit_to
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.training.lightning import silence_lightning

SEEDS, WEIGHTS, COSTS = (0, 1, 2), (0.25, 0.5, 0.75, 1.0), (0.005, 0.01, 0.015, 0.02, 0.03, 1)
HEAD = "| | weight | class fold AUSUC | class fold seen | unseen | seen | H@1 |"
Figures = list[tuple[float, ...]]  # per seed, the columns of HEAD
Maps = Sequence[Project]  # one per seed
# What hubs lose, (C,), by similarities (N, C) of a pool of images to the labels: half the mean of a
# label's ten nearest (CSLS, Conneau et al. 2018); log of the sum of exp(10 x) (Smith et al. 2017).
HUBS = {
    "CSLS": lambda pool: np.sort(pool, axis=0)[-10:].mean(axis=0) / 2,
    "inverted softmax": lambda pool: np.log(np.exp(10 * pool).sum(axis=0)) / 10,
}


class Setting:
    """Data with one kind of class vectors; `centred`: less the mean of the seen ones."""

    def __init__(self, *overrides: str, centred: bool = False) -> None:
        self.overrides = ("projection.hidden=2000", *overrides)
        config = compose("config", list(self.overrides))
        self.data = prepare(config)
        self.features = features_of(config, self.data)
        vectors, seen = self.data.class_vectors, self.data.split.seen
        moved = normalize_rows(vectors - centre_of(vectors, seen)) if centred else vectors
        self.task = replace(self.data.task(self.features, config.seed), class_vectors=moved)
        self.class_folds = self.data.class_folds(self.task)

    def trained(self, *overrides: str) -> list[Project]:
        """The run's recipe, once per seed; a task is trained on once."""
        given = [[*self.overrides, *overrides, f"seed={seed}"] for seed in SEEDS]
        fits = [
            partial(fit_to, recipe_of(compose("config", each), self.data.n_train)) for each in given
        ]
        return [cached_per_task(fit, {}) for fit in fits]

    def others(self, task: Task) -> Sequence[ClassFold]:
        """What a method fitted to the task, or to one of its class folds, chooses by."""
        nested = [class_fold(task, r.task.unseen) for r in self.class_folds if r.task is not task]
        return self.class_folds if task is self.task else nested

    def measured(self, fit: Callable, hubs: str = "", own: bool = False) -> tuple[float, ...]:
        """The columns after the weight; hubs are those of the training images or of the `own`."""

        def curve(task: Task, *sides: np.ndarray) -> Curve:
            fitted, best = fit(task), []
            rows = (*sides, task.train)
            scores = [fitted.embed(self.features[r]) @ fitted.class_vectors.T for r in rows]
            pool = np.concatenate(scores[:2]) if own else scores[2]
            for images, each in zip(sides, scores, strict=False):
                lowered = each - HUBS[hubs](pool) if hubs else each
                first = [c[lowered[:, c].argmax(axis=1)][:, None] for c in (task.seen, task.unseen)]
                seen, unseen = ((ids, np.take_along_axis(lowered, ids, 1)) for ids in first)
                best.append(top_answers(seen, unseen, task.class_ids[images]))
            return tradeoff_curve(*best)

        curves = [curve(each.task, each.seen_rows, each.unseen_rows) for each in self.class_folds]
        test = curve(self.task, self.data.split.test, self.data.split.unseen_rows)
        seen, unseen = test.at(mean(best_gamma(c) for c in curves))
        area, kept = (
            mean(map(tradeoff.ausuc, curves)),
            mean(c.seen[0] for c in curves),
        )
        return area, kept, test.unseen[-1], test.seen[0], 2 * seen * unseen / (seen + unseen)


class Mapped(nn.Module):
    """The mean of maps that need no training here, (n, feature_dim) -> (n, D)."""

    def __init__(self, *maps: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(sum(each(features.numpy()) for each in self.maps) / len(self.maps))


class Uncentred(Prior):
    """The prior of pretraining vectors as they are, not taken from their centre."""

    def directions(self, features: np.ndarray) -> np.ndarray:
        shares = self.pretraining.probabilities(features, self.temperature)
        return conse(shares, self.pretraining.vectors, self.top)


def priors(*weights: float, t: float = 2, top: int = 10, kind: type = Prior) -> Priors:
    return lambda known: tuple(kind(known, w, t, top) for w in weights or WEIGHTS)


def figures(on: Setting, projects: Maps, make: Priors, at: float | None = None, **hubs) -> Figures:
    """With the prior of weight `at`, or the one that a run chooses."""

    def fit(project: Project, weight: float, task: Task) -> FittedMethod:
        moves = [prior for prior in make(task.pretraining) if prior.strength == weight]
        return FittedMethod(task.class_vectors, TrainedProjection(project(task), *moves))

    found, weight = [], at
    for each in projects:
        if at is None:
            prior = devise(each(on.task), each, make, None, on.task, on.class_folds)[1].prior
            weight = prior.strength if prior else 0.0
        found.append((weight, *on.measured(partial(fit, each, weight), **hubs)))
    return found


def block(name: str, on: Setting, projects: Maps, make: Priors | None = None) -> list[tuple]:
    own = partial(figures, on, projects, make or priors())
    return [*((name, partial(own, w)) for w in (0.0, *WEIGHTS)), (f"**{name}, chosen**", own)]


def to_features(on: Setting, weight: float) -> Figures:
    """Words mapped to features; their cosine and the prior's, weighted, are added up."""

    def fit(task: Task) -> FittedMethod:
        own = fit_method(RidgeToFeatures(), task, on.others(task))
        (prior,), root = priors(weight)(task.pretraining), weight**0.5
        vectors = normalize_rows(np.hstack([own.class_vectors, root * task.class_vectors]))
        return FittedMethod(
            vectors, lambda x: np.hstack([own.embed(x), root * prior.directions(x)])
        )

    return [(weight, *on.measured(fit))]


def show(title: str, rows: Sequence[tuple]) -> None:
    print(f"\n## {title}\n\n{HEAD}\n|{' --- |' * (HEAD.count('|') - 1)}", flush=True)
    for name, row in track(rows, title, console=Console(stderr=True)):
        weights, *columns = zip(*row(), strict=True)
        cells = [", ".join(f"{w:g}" for w in (weights if len(set(weights)) > 1 else weights[:1]))]
        for column in columns:
            spread = f" ± {100 * stdev(column):.1f}" if len(column) > 1 else ""
            cells.append(f"{100 * mean(column):.1f}{spread}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    glove = Setting()
    own = glove.trained()
    losses = {"hinge rank, margin 1": ["loss=hinge_rank"], "cosine": ["loss=cosine"]}
    losses |= {f"softmax {t}": [f"loss.temperature={t}"] for t in (0.1, 0.4)}
    rows = block("softmax 0.2", glove, own)
    for name, overrides in losses.items():
        rows += block(name, glove, glove.trained(*overrides))
    for name, method in {"ESZSL": ESZSL(), "SAE": SAE()}.items():
        project = partial(
            lambda m, task: Mapped(fit_method(m, task, glove.others(task)).embed), method
        )
        rows += block(name, glove, [cached_per_task(project, {})])
    rows += [("words to features", partial(to_features, glove, w)) for w in (0, 0.05, 0.1, 0.2)]
    show("Losses and closed forms", rows)

    rows = block("vectors not centred", glove, own, priors(kind=Uncentred))
    rows += block("temperature 1", glove, own, priors(t=1))
    for t, top in product((1, 2), (50, 1000)):
        name = f"temperature {t}, {f'top {top}' if top < 1000 else 'all'}"
        rows.append((name, partial(figures, glove, own, priors(t=t, top=top))))
    choice = partial(figures, glove, own, priors())
    rows += [(f"seen cost {c}", patch.object(additions, "SEEN_COST", c)(choice)) for c in COSTS]
    rows.append(("the prior alone", partial(figures, glove, own[:1], priors(1e6), 1e6)))
    show("Forms of the prior, softmax 0.2", rows)

    about = Setting(centred=True)
    rows = block("centred word vectors", about, about.trained())
    mean_map = cached_per_task(lambda task: Mapped(*(TrainedProjection(p(task)) for p in own)), {})
    rows.append(("maps of three seeds averaged", partial(figures, glove, [mean_map], priors())))
    for hubs, own_images in product(HUBS, (False, True)):
        corrected = partial(figures, glove, own, priors(), hubs=hubs, own=own_images)
        rows.append((f"{hubs}, {'transductive' if own_images else 'training images'}", corrected))
    show("Other corrections, softmax 0.2", rows)

    rows = []
    for glosses, share, middle in product(("false", "true"), (0, 0.3), (False, True)):
        given = [f"word_vectors.glosses={glosses}", f"word_vectors.glove_weight={share}"]
        words = Setting("word_vectors=sentence_minilm", *given, centred=middle)
        own = partial(figures, words, words.trained(), priors())
        name = f"glosses {glosses}, GloVe {share}{', centred' * middle}"
        rows += [(name, partial(own, 0.0)), (f"**{name}, chosen**", own)]
    show("Sentence vectors, softmax 0.2", rows)


if __name__ == "__main__":
    silence_lightning()
    with initialize("../../conf", version_base="1.3"):
        main()
