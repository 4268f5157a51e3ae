"""The run folder: everything a finished run needs to be evaluated and searched again, and its
state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.data.splits import Split
from devise_exp.evaluation.leakage import Overlap
from devise_exp.evaluation.protocols import MODEL, PARTS, EmbeddedImages, MethodOutput
from devise_exp.methods.prior import PretrainedClassifier, Prior

UNFINISHED = "UNFINISHED"
SPACES = (MODEL, "backbone", "classifier")  # what images are compared in (embeddings.py)
_BUILDERS = {  # what the config of a run folder, which may be anybody's, may build of devise_exp
    "word_vectors": (
        *(
            f"text.word_vectors.{name}"
            for name in (
                "load_word_vectors",
                "gensim_download",
                "glove_6b_50d",
                "random_word_vectors",
            )
        ),
        "text.sentence_vectors.sentence_minilm",
        "text.attributes.xlsa17_attributes",
    ),
    "backbone": (
        "features.backbones.torchvision.torchvision_backbone",
        "features.backbones.efficientnet_lite.efficientnet_lite",
        "features.backbones.timm.timm_backbone",
        "features.backbones.published.res101",
    ),
    "projection": ("methods.projection.linear", "methods.projection.mlp"),
    "index": ("index.ExactIndex", "index.NmslibIndex", "index.AutoIndex"),
}
_PICKLE = "trust_pickle"  # a pickle would run whatever it holds
_INSTEAD = {"index": "choose index=hnsw, brute_force, exact or auto"}


@dataclass(frozen=True)
class RunFolder:
    """Paths and formats of a run folder.

    config.yaml (resolved), classes.json (name, seen, words, how each was resolved),
    class_vectors.npy (C, D), split.json (row names per part), about.json (what the figures rest on,
    overlaps, skipped images), checkpoints/{best,last}.ckpt (of the map alone in checkpoints/map/,
    where the network was trained too), embeddings/MODEL.npz, index/ (of all classes), gallery/
    (the images not trained on, with an index per space), classifier.npz (of that space),
    neighbours.npz (PROTOCOL and method/NAME/PROTOCOL: class ids), prior.npz (of the trained model),
    hierarchy.json, diagnostics.json, metrics.json, results.csv, search.csv, report.md, report.html;
    wandb/ of that logger, evaluations/N/ of evaluate.py, galleries/ of folders indexed later,
    searches/.
    While a file UNFINISHED is there the run is not done.
    """

    path: Path

    @classmethod
    def existing(cls, path: str | Path) -> RunFolder:
        """The folder of a finished run; InputError where it is none, or where the run did not
        finish.
        """
        folder = Path(path).expanduser()
        if not (folder / "config.yaml").is_file():
            raise InputError(
                f"{path}: not a run folder (no config.yaml): give one that train.py named"
            )
        if (folder / UNFINISHED).exists():
            raise InputError(f"{path}: this run did not finish: python train.py resume={path}")
        return cls(folder)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def gallery(self) -> Path:
        return self.path / "gallery"

    @property
    def unfinished(self) -> bool:
        return (self.path / UNFINISHED).exists()

    def check_free_for(self, config: DictConfig) -> None:
        """InputError where the folder holds a finished run, or an unfinished one of another
        config.
        """
        if not (self.path / "config.yaml").exists():
            return
        if not self.unfinished:
            raise InputError(
                f"{self.path}: this run is finished: python evaluate.py run_dir={self.path}, or "
                "train into another hydra.run.dir"
            )
        if not self.is_of(config):
            raise InputError(
                f"{self.path}: holds an unfinished run of another config: go on with that one "
                f"(resume={self.path}), or train into another hydra.run.dir"
            )

    def is_of(self, config: DictConfig) -> bool:
        """Whether the run, finished or not, is one of this config."""
        settings: list[Any] = [
            OmegaConf.to_container(each, resolve=True) for each in (config, self.config())
        ]
        for each in settings:
            # Read after the training, and from elsewhere if a series has moved.
            each.pop("hyperparameters_from", None)
            each.pop("report", None)  # changes no metric
        return bool(settings[0] == settings[1])

    def check_same(self, split: Split, class_vectors: np.ndarray) -> None:
        """InputError where data or word vectors are no longer what this run was trained on: trained
        images could stand among the test images of a new split.
        """
        if not (self.path / "class_vectors.npy").is_file():
            return  # nothing was trained yet
        saved = self.class_vectors()
        if self.split()["fingerprint"] != split.fingerprint or not (
            saved.shape == class_vectors.shape and np.allclose(saved, class_vectors, atol=1e-6)
        ):
            raise InputError(
                f"{self.path}: the images, classes or word vectors have changed since this run "
                "was trained, so its split is another now: restore them, or train a new run"
            )

    def find(self, name: str) -> Path:
        """A file by its own path, or by its place within the run folder."""
        inside = self.path / name
        return inside if inside.is_file() else Path(name).expanduser()

    def begin(self, config: DictConfig) -> None:
        """Mark the run as unfinished and keep its config, from which it can be resumed."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / UNFINISHED).write_text("this run is going on, or was stopped\n")
        with atomic_path(self.path / "config.yaml") as made:
            made.write_text(OmegaConf.to_yaml(config, resolve=True), encoding="utf-8")

    def finish(self) -> None:
        (self.path / UNFINISHED).unlink()

    def config(self) -> DictConfig:
        if not (self.path / "config.yaml").is_file():
            raise InputError(f"{self.path}: not a run folder (no config.yaml)")
        with self._reading("config.yaml") as file:
            config = OmegaConf.load(file)
            if not isinstance(config, DictConfig) or not config:
                raise ValueError("no mapping")
        return config

    def part(self, group: str) -> DictConfig:
        """A group of the config that is safe to build: a function of this project, whose arguments
        are plain values. InputError for anything else.
        """
        found: Any = OmegaConf.to_container(self.config(), resolve=True)
        found = found.get(group) if isinstance(found, dict) else None
        target = found.get("_target_") if isinstance(found, dict) else found
        known = {f"devise_exp.{name}" for name in _BUILDERS[group]}
        nested = str(found).count("_target_") > 1
        if isinstance(found, dict) and target in known and not nested | bool(found.get(_PICKLE)):
            return OmegaConf.create(found)
        raise InputError(
            f"{self.path}: its config names {str(target)!r} as the {group}, which is not built "
            f"unasked: {_INSTEAD.get(group, 'use a run folder that you trust and mend its config')}"
        )

    def save_classes(
        self,
        split: Split,
        resolutions: Sequence[Any],
        class_vectors: np.ndarray,
        rows: Sequence[str],
    ) -> None:
        """The class vocabulary with its vectors, and the split by row names."""
        seen = set(split.seen.tolist())
        classes = [
            {"name": name, "seen": i in seen, "words": list(r.words), "how": r.rule}
            for i, (name, r) in enumerate(zip(split.classes, resolutions, strict=True))
        ]
        parts = {
            "train": split.train,
            "val": split.val,
            "test": split.test,
            "unseen": split.unseen_rows,
        }
        self._write_json("classes.json", classes)
        self._write_json(
            "split.json",
            {"name": split.name, "seed": split.seed, "fingerprint": split.fingerprint}
            | {part: [rows[i] for i in ids] for part, ids in parts.items()},
        )
        with atomic_path(self.path / "class_vectors.npy") as made:
            np.save(made, class_vectors)

    def classes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._read_json("classes.json")
        return found

    def split(self) -> dict[str, Any]:
        found: dict[str, Any] = self._read_json("split.json")
        return found

    def class_vectors(self) -> np.ndarray:
        with self._reading("class_vectors.npy") as file:
            found: np.ndarray = np.load(file, allow_pickle=False)
        return found

    def class_ids(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the seen and of the unseen classes."""
        seen = np.array([entry["seen"] for entry in self.classes()], dtype=bool)
        return np.flatnonzero(seen), np.flatnonzero(~seen)

    def save_about(
        self,
        about: dict[str, Any],
        overlaps: Sequence[Overlap],
        skipped: Sequence[str],
        methods: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        """What the figures rest on, which unseen classes overlap and how, which images were
        skipped, and what each method chose.
        """
        details = {"leaks": [asdict(overlap) for overlap in overlaps], "skipped": list(skipped)}
        self._write_json("about.json", {"about": about, **details, "methods": methods or {}})

    def about(self) -> dict[str, Any]:
        found: dict[str, Any] = self._details()["about"]
        return found

    def chosen(self, method: str) -> dict[str, Any]:
        """What a method chose on the class folds."""
        found: dict[str, Any] = self._details().get("methods", {}).get(method, {})
        return found

    def overlapping(self) -> np.ndarray:
        """Ids of the unseen classes that the pretraining knew."""
        names = {overlap["name"] for overlap in self._details()["leaks"]}
        return np.array([i for i, c in enumerate(self.classes()) if c["name"] in names], dtype=int)

    def overlaps(self) -> dict[str, str]:
        """Each overlapping class -> its first overlap, the strongest: "is a kind of hook"."""
        found: dict[str, str] = {}
        for overlap in self._details()["leaks"]:
            found.setdefault(overlap["name"], f"{overlap['relation']} {overlap['category']}")
        return found

    def _details(self) -> dict[str, Any]:
        found: dict[str, Any] = self._read_json("about.json")
        return found

    def save_prior(self, prior: Prior) -> None:
        """The prior of the trained model, which images that are embedded later need as well."""
        known = prior.pretraining
        arrays = {"weight": known.weight, "bias": known.bias, "vectors": known.vectors}
        numbers = np.array([prior.strength, prior.temperature, prior.top])
        names = np.array(known.categories)
        self.save_arrays("prior", {**arrays, "categories": names, "numbers": numbers})

    def prior(self) -> Prior | None:
        """The prior of the trained model, None where it has none."""
        if not (self.path / "prior.npz").is_file():
            return None
        found = self.arrays("prior")
        with self._reading("prior.npz"):
            arrays = (found[name] for name in ("weight", "bias", "vectors"))
            known = PretrainedClassifier(tuple(found["categories"].tolist()), *arrays)
            strength, temperature, top = found["numbers"].tolist()
            return Prior(known, strength, temperature, int(top))

    def save_hierarchy(self, content: dict[str, Any]) -> None:
        """Where the classes stand in WordNet (hierarchy.Hierarchy.as_dict)."""
        self._write_json("hierarchy.json", content)

    def hierarchy(self) -> dict[str, Any]:
        found: dict[str, Any] = self._read_json("hierarchy.json")
        return found

    def save_diagnostics(self, content: dict[str, Any]) -> None:
        self._write_json("diagnostics.json", content)

    def new_evaluation(self) -> Path:
        """A fresh folder evaluations/N."""
        place = self.path / "evaluations"
        numbers = [int(p.name) for p in place.glob("*") if p.name.isdigit()]
        folder = place / str(max(numbers, default=0) + 1)
        folder.mkdir(parents=True)
        return folder

    def save_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Arrays by name into one .npz file."""
        with atomic_path(self.path / f"{name}.npz") as made, made.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of one .npz file by name."""
        with self._reading(f"{name}.npz") as file, np.load(file, allow_pickle=False) as found:
            return {key: found[key] for key in found.files}

    def array(self, name: str, key: str) -> np.ndarray | None:
        """One array of an .npz file, of which nothing else is read; None where it is not there."""
        if not (self.path / f"{name}.npz").is_file():
            return None
        with self._reading(f"{name}.npz") as file, np.load(file, allow_pickle=False) as found:
            own: np.ndarray | None = found.get(key)
            return own

    def save_embedded(self, model: MethodOutput) -> None:
        """One model's embeddings of the evaluated rows."""
        arrays = {"class_vectors": model.class_vectors}
        for part, images in model.parts.items():
            arrays |= {part: images.vectors, f"{part}_truth": images.class_ids}
        if model.gamma is not None:
            arrays["factor"] = np.asarray(model.gamma)
        arrays["trained_map"] = np.asarray(model.is_projection)
        self.save_arrays(f"embeddings/{model.name}", arrays)

    def embedded(self, name: str) -> MethodOutput:
        arrays = self.arrays(f"embeddings/{name}")
        with self._reading(f"embeddings/{name}.npz"):
            return MethodOutput(
                name=name,
                class_vectors=arrays["class_vectors"],
                parts={
                    part: EmbeddedImages(arrays[part], arrays[f"{part}_truth"])
                    for part in PARTS
                    if part in arrays
                },
                gamma=arrays["factor"].item() if "factor" in arrays else None,
                is_projection=arrays["trained_map"].item(),
            )

    def spaces(self) -> tuple[str, ...]:
        """The spaces that the run's images are stored in, the trained one first."""
        asked = self.config().get("spaces") or ()
        return tuple(space for space in SPACES if space == MODEL or space in asked)

    def models(self) -> list[str]:
        """Names of the embedded methods, the trained one first."""
        return [MODEL, *(name for name in self._details().get("methods", {}) if name != MODEL)]

    def _write_json(self, name: str, content: Any) -> None:
        with atomic_path(self.path / name) as made:
            made.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")

    def _read_json(self, name: str) -> Any:
        with self._reading(name) as file:
            return json.loads(file.read_text(encoding="utf-8"))

    @contextmanager
    def _reading(self, name: str) -> Iterator[Path]:
        """Yield the file; InputError where it is not there or cannot be what was written."""
        file = self.path / name
        if not file.is_file():
            raise InputError(f"{self.path}: the run folder lacks {name}: train the run again")
        try:
            yield file
        except (ValueError, KeyError, TypeError, EOFError, BadZipFile, YAMLError) as error:
            raise InputError(f"{file}: damaged: train the run again") from error
