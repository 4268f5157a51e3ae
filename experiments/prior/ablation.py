"""What lifts hit@1 of unseen classes: losses, the prior's weight and form, hubness, class vectors.

python experiments/prior/ablation.py > tables.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from torch import nn

from devise_exp import closed_form, methods, pretraining, tradeoff
from devise_exp.baselines import unit
from devise_exp.centring import centre_of
from devise_exp.embeddings import TrainedMap
from devise_exp.fitting import fit_to
from devise_exp.methods import Project
from devise_exp.prepare import Prepared, features_of, prepare
from devise_exp.pretraining import Prior, Priors
from devise_exp.task import Fitted, Method, Rehearsal, Task, rehearsal
from devise_exp.training import quiet

CONF = Path(__file__).resolve().parents[2] / "conf"
SEEDS = (0, 1, 2)
WEIGHTS = (0.25, 0.5, 0.75, 1.0)
HEAD = (
    "weight of the prior",
    "rehearsal AUSUC",
    "rehearsal seen",
    "unseen hit@1 per class",
    "seen hit@1 per class",
    "H@1 calibrated",
)
Fit = Callable[[Task], Fitted]
Penalty = Callable[[np.ndarray], np.ndarray]  # similarities of a pool of images (N, C) -> (C,)


class Figures(NamedTuple):
    """Shares: the first two are what choices are made by, the others are of the test."""

    weight: float
    area: float
    rehearsed_seen: float
    unseen: float
    seen: float
    harmonic: float


Row = tuple[str, Callable[[], list[Figures]]]


@dataclass(frozen=True, eq=False)
class Setting:
    """Data with one kind of class vectors; features (N, feature_dim) are those of all images."""

    overrides: tuple[str, ...]
    parts: Prepared
    features: np.ndarray
    task: Task
    rehearsals: tuple[Rehearsal, ...]

    def trained(self, *overrides: str) -> list[Project]:
        """The run's recipe, once per seed; a task is trained on once."""
        configs = [config(*self.overrides, *overrides, f"seed={seed}") for seed in SEEDS]
        return [methods.remembered(partial(fit_to, each), {}) for each in configs]

    def without_others(self, task: Task) -> list[Rehearsal]:
        """The rehearsals of the task, or of the task of one of them, to choose within it."""
        others = [each.task for each in self.rehearsals if each.task is not task]
        nested = [rehearsal(task, other.unseen) for other in others]
        return list(self.rehearsals) if task is self.task else nested


class Averaged(nn.Module):
    """The mean of the unit embeddings of several maps."""

    def __init__(self, maps: Iterable[nn.Module]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(maps)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.stack([F.normalize(each(features)) for each in self.maps]).mean(dim=0)


class Closed(nn.Module):
    """A map that was not trained by gradients."""

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        self.fitted = fitted

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.fitted.embed(features.numpy()))


class Uncentred(Prior):
    """The prior of pretraining vectors as they are, not taken from their centre."""

    def directions(self, features: np.ndarray) -> np.ndarray:
        known = self.pretraining
        shares = known.probabilities(features, self.temperature)
        return pretraining.conse(shares, known.vectors, self.top)


def uncentred(known: pretraining.Pretraining) -> tuple[Prior, ...]:
    return tuple(Uncentred(known, p.weight, p.temperature, p.top) for p in priors()(known))


def priors(*weights: float, temperature: float = 2.0, top: int = 10) -> Priors:
    return partial(pretraining.priors, weights=weights or WEIGHTS, temperature=temperature, top=top)


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", ["+trainer.enable_progress_bar=false", *overrides])


def setting(*overrides: str) -> Setting:
    own = config(*overrides)
    parts = prepare(own)
    features = features_of(own, parts)
    task = parts.task(features, own.seed)
    return Setting(overrides, parts, features, task, parts.rehearsals(task))


def centred(on: Setting) -> Setting:
    """Class vectors less the mean of the seen ones."""
    vectors = on.task.class_vectors
    task = on.parts.task(on.features, 0, unit(vectors - centre_of(vectors, on.task.seen)))
    return replace(on, task=task, rehearsals=on.parts.rehearsals(task))


def measured(
    on: Setting, fit: Fit, weight: float, penalty: Penalty | None = None, pool: str = "train"
) -> Figures:
    """Figures of a fit to the task and anew to each rehearsal. A penalty lowers the similarities of
    hubs, found in a pool of images: those of training, or, transductively, those to be named.
    """

    def curve(task: Task, *sides: np.ndarray) -> tradeoff.Curve:
        fitted = fit(task)
        scores = [fitted.embed(on.features[r]) @ fitted.class_vectors.T for r in sides]
        if penalty:
            train = fitted.embed(on.features[task.train]) @ fitted.class_vectors.T
            lower = penalty(train if pool == "train" else np.concatenate(scores))
            scores = [each - lower for each in scores]
        best = []
        for each, rows in zip(scores, sides, strict=True):
            first = [labels[each[:, labels].argmax(axis=1)] for labels in (task.seen, task.unseen)]
            found = [(ids[:, None], np.take_along_axis(each, ids[:, None], 1)) for ids in first]
            best.append(tradeoff.best_answers(*found, on.task.class_ids[rows]))
        return tradeoff.curve(*best)

    held_out = [curve(each.task, each.seen_rows, each.unseen_rows) for each in on.rehearsals]
    test = curve(on.task, on.parts.split.test, on.parts.split.unseen_rows)
    seen, unseen = test.at(mean(tradeoff.best_factor(c) for c in held_out))
    harmonic = 2 * seen * unseen / max(seen + unseen, 1e-12)
    area, rehearsed = mean(map(tradeoff.area, held_out)), mean(float(c.seen[0]) for c in held_out)
    return Figures(weight, area, rehearsed, float(test.unseen[-1]), float(test.seen[0]), harmonic)


def moved(project: Project, make: Priors, weight: float) -> Fit:
    """The map of `project` with the one of the priors that has this weight, if any."""

    def fit(task: Task) -> Fitted:
        assert task.pretraining is not None
        own = [prior for prior in make(task.pretraining) if prior.weight == weight]
        return Fitted("", task.class_vectors, TrainedMap(project(task), *own))

    return fit


def fixed(on: Setting, projects: Sequence[Project], make: Priors, weight: float) -> list[Figures]:
    return [measured(on, moved(each, make, weight), weight) for each in projects]


def chosen(
    on: Setting,
    projects: Sequence[Project],
    make: Priors,
    penalty: Penalty | None = None,
    pool: str = "train",
) -> list[Figures]:
    """With the prior that methods.devise chooses."""
    found = []
    for each in projects:
        _, prior = methods.devise(each(on.task), each, make, on.task, on.rehearsals)
        weight = prior.weight if prior else 0.0
        found.append(measured(on, moved(each, make, weight), weight, penalty, pool))
    return found


def block(name: str, on: Setting, projects: Sequence[Project]) -> list[Row]:
    """Each weight of the prior, and the one chosen."""
    rows = [(name, partial(fixed, on, projects, priors(), w)) for w in (0.0, *WEIGHTS)]
    return [*rows, (f"**{name}, chosen**", partial(chosen, on, projects, priors()))]


def to_words(on: Setting, method: Method) -> list[Project]:
    """A closed form that maps images to word vectors."""
    return [methods.remembered(lambda task: Closed(method(task, on.without_others(task))), {})]


def to_features(on: Setting, weight: float) -> list[Figures]:
    """Words mapped to features, joined with the prior: the sum of both cosines."""

    def fit(task: Task) -> Fitted:
        own = closed_form.ridge_to_features(task, on.without_others(task))
        assert task.pretraining is not None
        (prior,), root = priors(weight)(task.pretraining), weight**0.5

        def embed(x: np.ndarray) -> np.ndarray:
            return unit(np.hstack([own.embed(x), root * prior.directions(x)]))

        return Fitted("", unit(np.hstack([own.class_vectors, root * task.class_vectors])), embed)

    return [measured(on, fit, weight)]


def csls(pool: np.ndarray) -> np.ndarray:
    """Half the mean similarity of a label's ten nearest images (Conneau et al. 2018)."""
    return np.asarray(np.sort(pool, axis=0)[-10:].mean(axis=0) / 2)


def inverted_softmax(pool: np.ndarray, sharpness: float = 10) -> np.ndarray:
    """The logarithm of a label's sum over images of exp(sharpness x similarity) (Smith et al.
    2017), over the sharpness.
    """
    return np.asarray(np.log(np.exp(sharpness * pool).sum(axis=0)) / sharpness)


def show(title: str, rows: Sequence[Row]) -> None:
    print(f"\n## {title}\n\n| | {' | '.join(HEAD)} |\n|{' --- |' * (1 + len(HEAD))}", flush=True)
    for name, figures in track(rows, title, console=Console(stderr=True)):
        weights, *columns = zip(*figures(), strict=True)
        cells = [", ".join(f"{w:g}" for w in (weights if len(set(weights)) > 1 else weights[:1]))]
        for column in columns:
            spread = f" ± {100 * stdev(column):.1f}" if len(column) > 1 else ""
            cells.append(f"{100 * mean(column):.1f}{spread}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    quiet()
    glove = setting()
    own = glove.trained()
    losses = {"hinge rank, margin 1": ["loss=hinge_rank"], "cosine": ["loss=cosine"]}
    losses |= {f"softmax {t}": ["loss=softmax", f"loss.temperature={t}"] for t in (0.1, 0.4)}
    rows = block("softmax 0.2", glove, own)
    for name, overrides in losses.items():
        rows += block(name, glove, glove.trained(*overrides))
    rows += block("ESZSL", glove, to_words(glove, closed_form.eszsl))
    rows += block("SAE", glove, to_words(glove, closed_form.sae))
    show("Losses and closed forms", rows)

    forms: dict[str, Priors] = {"pretraining vectors not centred": uncentred}
    for temperature in (1, 2, 4):
        for top in (10, 50, 1000):
            title = f"temperature {temperature}, {f'top {top}' if top < 1000 else 'all'}"
            forms[title] = priors(temperature=temperature, top=top)
    forms["weights to 3"] = priors(*WEIGHTS, 1.5, 2, 3)
    rows = [(name, partial(chosen, glove, own, make)) for name, make in forms.items()]
    rows.append(("the prior alone", partial(fixed, glove, own[:1], priors(1e6), 1e6)))
    show("Forms of the prior, softmax 0.2", rows)

    about = centred(glove)
    averaged = methods.remembered(lambda task: Averaged(each(task) for each in own), {})
    rows = block("centred word vectors", about, about.trained())
    rows.append(("maps of three seeds averaged", partial(chosen, glove, [averaged], priors())))
    for name, penalty in {"CSLS": csls, "inverted softmax": inverted_softmax}.items():
        for pool in ("train", "test"):
            title = f"{name}, {'training images' if pool == 'train' else 'transductive'}"
            rows.append((title, partial(chosen, glove, own, priors(), penalty, pool)))
    rows += [("words to features", partial(to_features, glove, w)) for w in (0, 0.05, 0.1, 0.2)]
    show("Other corrections, softmax 0.2", rows)

    rows = []
    for glosses in ("false", "true"):
        for share in (0, 0.3):
            sentences = ["word_vectors=sentence_minilm", f"word_vectors.glosses={glosses}"]
            words = setting(*sentences, f"word_vectors.glove_weight={share}")
            title = f"sentences, glosses {glosses}, GloVe {share}"
            rows += block(title, words, words.trained())
    show("Class vectors, softmax 0.2", rows)


if __name__ == "__main__":
    main()
