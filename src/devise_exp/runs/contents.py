"""The contents of a run folder: its files as records, beside the arrays of its base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devise_exp.core.files import atomic_path
from devise_exp.data.splits import Split
from devise_exp.evaluation.image_names import ImageNames
from devise_exp.runs import checked, files
from devise_exp.runs.class_records import ClassRecord, class_records, classes_from_json
from devise_exp.runs.other_folders import did_not_finish
from devise_exp.runs.records import RunDetails, SplitRecord, about_from_json
from devise_exp.runs.run_arrays import RunArrays
from devise_exp.text.labels import Resolution
from devise_exp.text.word_checks import WordCheck
from devise_exp.text.wordnet.hierarchy import Hierarchy, hierarchy_from_dict
from devise_exp.text.wordnet.sense_notes import SenseNote, sense_notes

TRAINING_CONTENTS = "training_contents.json"


@dataclass(frozen=True)
class RunContents(RunArrays):
    """The files of a run folder. Reading raises InputError if a file is not there or damaged."""

    def save_classes(
        self,
        split: Split,
        resolutions: Sequence[Resolution],
        class_vectors: np.ndarray,
        rows: Sequence[str],
        checks: Sequence[WordCheck] = (),
        verdicts: Mapping[str, str] | None = None,
    ) -> None:
        """Write the classes with their vectors, and the split by row names.

        Args:
            split: The split.
            resolutions: The words of every class, in the order of the classes.
            class_vectors: (C, D) unit rows.
            rows: Names of all rows of the dataset.
            checks: What tells whether the words are the right ones, () for nothing.
            verdicts: Class name -> its verdict in the overlap audit; None: it is not known.
        """
        records = class_records(split, resolutions, checks, verdicts)
        files.write_json(self.path, "classes.json", [record.to_json() for record in records])
        files.write_json(self.path, "split.json", SplitRecord.of(split, rows).to_json())
        with atomic_path(self.path / "class_vectors.npy") as path:
            np.save(path, class_vectors)

    def save_image_names(self, names: Sequence[ImageNames]) -> None:
        """Add to classes.json what the backbone's own classifier calls the images.

        Args:
            names: For every class, in the order of their ids.
        """
        records = zip(self.classes(), names, strict=True)
        entries = [replace(record, image_names=called).to_json() for record, called in records]
        files.write_json(self.path, "classes.json", entries)

    def classes(self) -> tuple[ClassRecord, ...]:
        """Read classes.json.

        Returns:
            A record for every class, in the order of their ids.
        """
        return files.read_json(self.path, "classes.json", classes_from_json)

    def split(self) -> SplitRecord:
        """Read split.json.

        Returns:
            The split by row names.
        """
        return files.read_json(self.path, "split.json", SplitRecord.from_json)

    def save_training_contents(self, contents: Iterable[str]) -> None:
        """Write training_contents.json: other images may be copies of these.

        Args:
            contents: Hash of the pixels of each image that the model is trained or validated on.
        """
        files.write_json(self.path, TRAINING_CONTENTS, sorted(set(contents)))

    def training_contents(self) -> frozenset[str] | None:
        """Read training_contents.json.

        Returns:
            What was saved; None if the run does not know what its images hold.
        """
        if not (self.path / TRAINING_CONTENTS).is_file():
            return None
        read = files.read_json(self.path, TRAINING_CONTENTS, checked.texts)
        return frozenset(read)

    def save_details(self, details: RunDetails) -> None:
        """Write about.json.

        Args:
            details: What the metrics of the run rest on.
        """
        files.write_json(self.path, "about.json", details.to_json())

    def details(self) -> RunDetails:
        """Read about.json.

        Returns:
            What the metrics of the run rest on.
        """
        return files.read_json(self.path, "about.json", RunDetails.from_json)

    def about(self) -> dict[str, Any]:
        """Read what the metrics rest on.

        Returns:
            Values by name, such as data, backbone and split/name.
        """
        return files.read_json(self.path, "about.json", about_from_json)

    def hyperparameters(self, method: str) -> dict[str, Any]:
        """Read what a method selected.

        Args:
            method: Name of the method.

        Returns:
            Values by name; empty if the method selects none.
        """
        return self.details().methods.get(method, {})

    def report(self) -> str:
        """Read report.md.

        Returns:
            The tables of the run as Markdown.
        """
        missing = did_not_finish(self.path)
        with files.reading(self.path, "report.md", missing=missing) as file:
            return file.read_text(encoding="utf-8")

    def save_hierarchy(self, hierarchy: Hierarchy) -> None:
        """Write hierarchy.json.

        Args:
            hierarchy: The classes in WordNet.
        """
        files.write_json(self.path, "hierarchy.json", hierarchy.as_dict())

    def hierarchy(self) -> Hierarchy:
        """Read hierarchy.json.

        Returns:
            The classes in WordNet, with their distances computed.
        """
        rows = self._n_classes()
        hierarchy = files.read_json(self.path, "hierarchy.json", hierarchy_from_dict)
        with files.reading(self.path, "hierarchy.json"):
            if rows not in (None, len(hierarchy.nodes)):  # before there is a distance for all pairs
                raise ValueError(f"{len(hierarchy.nodes)} nodes of {rows} classes")
            _ = hierarchy.distances  # damage may show here only
        return hierarchy

    def sense_notes(self) -> dict[str, SenseNote]:
        """Describe where the classes stand in WordNet.

        Returns:
            Class name -> its note, without classes that have no place; empty if there is no
            hierarchy.json.
        """
        if not (self.path / "hierarchy.json").is_file():
            return {}
        records = self.classes()
        names, words = [r.name for r in records], [" ".join(r.words) for r in records]
        dataset = str(self.details().about.get("data", ""))
        notes = sense_notes(names, words, self.hierarchy(), dataset)
        return {name: note for name, note in zip(names, notes, strict=True) if note}

    def save_diagnostics(self, content: Mapping[str, Any]) -> None:
        """Write diagnostics.json.

        Args:
            content: What evaluation.diagnostics.diagnose returns.
        """
        files.write_json(self.path, "diagnostics.json", content)

    def diagnostics(self) -> dict[str, Any]:
        """Read diagnostics.json.

        Returns:
            What was saved; empty if the file is not there.
        """
        if not (self.path / "diagnostics.json").is_file():
            return {}
        return files.read_json(self.path, "diagnostics.json", dict)
