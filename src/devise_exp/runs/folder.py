"""The run folder: its paths, its state, and its files as records."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.command import spelled
from devise_exp.core.errors import InputError
from devise_exp.core.files import write_text
from devise_exp.data.splits import Split
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.pretraining_words import PRETRAINING
from devise_exp.runs import checked, files
from devise_exp.runs.config_names import RUN, UNFINISHED
from devise_exp.runs.other_folders import did_not_finish, not_a_run
from devise_exp.runs.run_sides import RunSides
from devise_exp.runs.saved_config import read_config
from devise_exp.runs.trusted_config import trusted_group

SPACES = (MODEL, "backbone", "classifier", PRETRAINING)  # what images are compared in


@dataclass(frozen=True)
class RunFolder(RunSides):
    """Paths, state and files of a run folder.

    Attributes:
        trusted: Whether its user trusts it, so that parts of somebody's own are built.

    - config.yaml (resolved); UNFINISHED while the run is not done
    - classes.json (name, seen, words, how each was resolved), class_vectors.npy (C, D)
    - split.json (row names per part), hierarchy.json (the classes in WordNet)
    - training_contents.json (hashes of the pixels of the images that it was trained on), if known
    - about.json (what the metrics rest on, overlaps, skipped images, hyperparameters)
    - checkpoints/{best,last}.ckpt; if the network was trained too, those of the projection alone in
      checkpoints/map/
    - embeddings/MODEL.npz, prior.npz and word_classifiers.npz (of the trained model),
      classifier.npz and pretraining.npz (of these spaces)
    - index/ (of all classes), gallery/ (images not trained on, with an index per space),
      galleries/ (of folders indexed later), searches/
    - neighbours.npz (PROTOCOL and method/NAME/PROTOCOL: class ids)
    - metrics.json, results.csv, search.csv, diagnostics.json, predictions.csv (or .parquet),
      report.md, report.html, wandb/
    - evaluations/N/ of evaluate.py
    """

    trusted: bool = False

    @classmethod
    def existing(cls, path: str | Path, trust: bool = False) -> RunFolder:
        """Open the folder of a finished run.

        Args:
            path: The folder.
            trust: Whether parts of somebody's own that its config names are built.

        Returns:
            The run folder.

        Raises:
            InputError: If the path is no run folder, or the run did not finish.
        """
        folder = Path(path).expanduser()
        if not (folder / "config.yaml").is_file():
            raise InputError(f"{path}: {not_a_run(path)}")
        if line := did_not_finish(path):
            raise InputError(f"{path}: {line}")
        return cls(folder, trust)

    @property
    def checkpoints(self) -> Path:
        """The folder of the weights."""
        return self.path / "checkpoints"

    @property
    def gallery(self) -> Path:
        """The folder of the gallery of the run's own images."""
        return self.path / "gallery"

    @property
    def unfinished(self) -> bool:
        """Whether the run is going on, or was stopped."""
        return (self.path / UNFINISHED).exists()

    def check_free_for(self, config: DictConfig) -> None:
        """Check that a run of this config may write here.

        Args:
            config: The config of the run.

        Raises:
            InputError: If a finished run is there, or an unfinished one of another config.
        """
        if not (self.path / "config.yaml").exists():
            return
        self.check_unfinished()
        if not self.is_of(config):
            raise InputError(
                f"{self.path}: holds an unfinished run of another config: go on with that one "
                f"(resume={self.path}), or train into another hydra.run.dir"
            )

    def check_unfinished(self) -> None:
        """Check that there is something left to train.

        Raises:
            InputError: If the run is finished.
        """
        if not self.unfinished:
            raise InputError(
                f"{self.path}: this run is finished: evaluate it again "
                f"({spelled('evaluate', run_dir=self.path)}), or train into another hydra.run.dir"
            )

    def is_of(self, config: DictConfig) -> bool:
        """Compare a config with that of the run, finished or not.

        Args:
            config: The config.

        Returns:
            Whether both are the same, but for hyperparameters_from, report and predictions.
        """
        both: list[Any] = [OmegaConf.to_container(c, resolve=True) for c in (config, self.config())]
        for settings in both:
            # Read after the training, and from elsewhere if a series has moved.
            settings.pop("hyperparameters_from", None)
            settings.pop("report", None)  # these two change no metric
            settings.pop("predictions", None)
            settings.pop("trust", None)  # of the command, not of the run
            settings.pop("logger", None)  # changes no metric either, and was one logger before
            callbacks = settings.pop("callbacks", None) or {}
            settings["callbacks"] = {key: v for key, v in callbacks.items() if v is not True}
        return bool(both[0] == both[1])

    def check_same(self, split: Split, class_vectors: np.ndarray) -> None:
        """Check that the run was trained on this split and these word vectors.

        Otherwise images of its training could be test images of the new split.

        Args:
            split: The split as the data have it now.
            class_vectors: (C, D) as the word vectors have them now.

        Raises:
            InputError: If either has changed.
        """
        if not (self.path / "class_vectors.npy").is_file():
            return  # nothing was trained yet
        saved = self.class_vectors()
        if self.split().fingerprint != split.fingerprint or not (
            saved.shape == class_vectors.shape and np.allclose(saved, class_vectors, atol=1e-6)
        ):
            raise InputError(
                f"{self.path}: the images, classes or word vectors have changed since this run "
                "was trained, so its split is another now: restore them, or train a new run"
            )

    def find(self, name: str) -> Path:
        """Look for a file in the run folder, then elsewhere.

        Args:
            name: Path of the file, which may be relative to the run folder.

        Returns:
            The file in the run folder if it is there, else the path itself.
        """
        inside = self.path / name
        return inside if inside.is_file() else Path(name).expanduser()

    def begin(self, config: DictConfig) -> None:
        """Mark the run as unfinished and keep its config, from which it can be resumed.

        Args:
            config: The config of the run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / UNFINISHED, "this run is going on, or was stopped\n")
        write_text(self.path / "config.yaml", OmegaConf.to_yaml(config, resolve=True))

    def finish(self) -> None:
        """Mark the run as finished."""
        (self.path / UNFINISHED).unlink()

    def new_evaluation(self) -> Path:
        """Make a folder for another evaluation.

        Returns:
            evaluations/N, N counting up.
        """
        parent = self.path / "evaluations"
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            numbers = [int(path.name) for path in parent.glob("*") if path.name.isdecimal()]
            folder = parent / str(max(numbers, default=0) + 1)
            with suppress(FileExistsError):  # another evaluation has just taken it
                folder.mkdir()
                return folder

    def config(self) -> DictConfig:
        """Read config.yaml.

        Returns:
            The resolved config.

        Raises:
            InputError: If it is not there or damaged.
        """
        missing = "" if (self.path / RUN).is_file() else not_a_run(self.path)
        return read_config(self.path, RUN, missing)

    def part(self, group: str) -> DictConfig:
        """Read the config of a part that a search builds.

        Args:
            group: word_vectors, backbone, projection or index.

        Returns:
            The group of the config.

        Raises:
            InputError: If it names a part that is not of this project, and the folder is not
                trusted.
        """
        return trusted_group(self.config(), group, self.path, self.trusted)

    def spaces(self) -> tuple[str, ...]:
        """List the spaces that images are embedded in.

        Returns:
            Names out of SPACES, the trained space first; "pretraining" unasked, if the backbone's
            own classifier fits its features.
        """
        config = self.config()
        with files.reading(self.path, "config.yaml"):
            values: Any = OmegaConf.to_container(config)
            extra = checked.texts(values.get("spaces") or ())
        words = [PRETRAINING] if (self.path / f"{PRETRAINING}.npz").is_file() else []
        chosen = {MODEL, *extra} - {PRETRAINING} | {*words}
        return tuple(space for space in SPACES if space in chosen)

    def measured_spaces(self) -> tuple[str, ...]:
        """List the spaces beside the trained one in which searches are measured.

        Returns:
            Names out of SPACES. Not "pretraining", which leaves out no class that overlaps an
            unseen one.
        """
        return tuple(space for space in self.spaces() if space not in (MODEL, PRETRAINING))
