"""Words for kinds of things, searched in the trained space of a run and in the space `pretraining`.

python experiments/pretraining_space/words.py RUN

The images are those of Caltech-101 that the default split does not train on; their features are
shipped.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from devise_exp.core.config import compose_config
from devise_exp.core.vectors import centre_rows, normalize_rows
from devise_exp.methods.pretraining_words import pretraining_words
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.search.encoder import load_model
from devise_exp.search.saved_run import Run

N = 12  # hits, as a search shows
# Word -> the classes that show one.
KINDS = {
    "animal": "okapi emu rhino octopus dolphin kangaroo pigeon sea_horse ant beaver bass crab "
    "brontosaurus cougar_body crayfish crocodile dalmatian dragonfly elephant flamingo gerenuk "
    "hedgehog ibis llama lobster mayfly nautilus panda platypus rooster scorpion stegosaurus "
    "starfish tick trilobite wild_cat butterfly hawksbill Leopards",
    "vehicle": "airplanes car_side ferry helicopter ketch Motorbikes schooner wheelchair",
    "bird": "emu pigeon ibis flamingo rooster",
    "fish": "bass sea_horse",
    "insect": "ant butterfly dragonfly mayfly",
    "instrument": "accordion electric_guitar euphonium grand_piano mandolin saxophone metronome",
    "furniture": "chair windsor_chair lamp chandelier ceiling_fan",
    "fruit": "strawberry",
    "food": "strawberry pizza",
    "flower": "sunflower lotus water_lilly",
    "boat": "ferry ketch schooner",
    "ship": "ferry ketch schooner",
    "weapon": "revolver cannon",
    "dog": "dalmatian snoopy",
    "reptile": "crocodile hawksbill",
    "car": "car_side",
    "music": "accordion electric_guitar euphonium grand_piano mandolin saxophone",
    "plant": "sunflower lotus water_lilly bonsai joshua_tree strawberry",
    "aircraft": "airplanes helicopter",
    "computer": "laptop",
    "cat": "wild_cat cougar_body Leopards garfield",
    "phone": "cellphone",
    "clock": "watch",
    "dinosaur": "brontosaurus stegosaurus",
    "tool": "scissors wrench stapler",
    "building": "pagoda minaret pyramid",
    "face": "Faces buddha",
    "person": "Faces",
    "camera": "camera",
    "guitar": "electric_guitar mandolin",
}


def scores(ranked: np.ndarray) -> tuple[float, float]:
    """P@N and average precision of a ranking, from whether each image is right."""
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(ranked[:N].mean()), float(precision[ranked].mean())


def main() -> None:
    run = Run.open(sys.argv[1])
    model = load_model(run.folder, run.class_vectors.shape[1])
    data = prepare(compose_config([]))
    split, head = data.split, data.backbone.head
    rows = np.concatenate([split.val, split.test, split.unseen_rows])
    features = np.asarray(features_of(compose_config([]), data)[rows]).astype(np.float32)
    labels = [split.classes[c] for c in data.class_ids[rows]]
    words = pretraining_words(data.backbone.categories or (), data.category_vectors, run.vocabulary)
    if words is None or head is None:
        sys.exit("the default backbone has a classifier of its own, and words for it")
    alone = np.stack([data.category_vectors[i] for i in words.ids])
    names_alone = replace(words, vectors=normalize_rows(alone))
    spaces = {
        "trained space of the run": (centre_rows(model.trained(features), run.centre), run.centre),
        "pretraining, names alone": (names_alone.embed(features, head), names_alone.centre),
        "pretraining, names and kinds": (words.embed(features, head), words.centre),
    }
    table = Table(
        "space", f"P@{N}", "mAP", "words without a right hit", title=f"{len(rows):,} images"
    )
    for title, (vectors, centre) in spaces.items():
        found = {}
        for word, classes in KINDS.items():
            query = normalize_rows(run.vocabulary.vector(word)[None])
            order = np.argsort(-(vectors @ centre_rows(query, centre)[0]), kind="stable")
            found[word] = scores(np.isin(np.array(labels)[order], classes.split()))
        means = 100 * np.mean(list(found.values()), axis=0)
        none = ", ".join(word for word, (precision, _) in found.items() if precision == 0)
        table.add_row(title, f"{means[0]:.1f}", f"{means[1]:.1f}", none)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
