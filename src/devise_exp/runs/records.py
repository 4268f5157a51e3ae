"""Records of split.json and about.json. Their keys are written and read here alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from devise_exp.data.splits import Split
from devise_exp.evaluation.verdicts import AuditReport, Overlap
from devise_exp.runs.checked import number, scalars, text, texts


@dataclass(frozen=True, kw_only=True)
class SplitRecord:
    """The split of a run by row names: split.json.

    Attributes:
        name: Name of the split.
        seed: Seed that it was drawn by.
        fingerprint: Hash of its classes and rows.
        train: Rows that the model is trained on.
        val: Validation rows of seen classes.
        test: Test rows of seen classes.
        unseen: Rows of unseen classes.
    """

    name: str
    seed: int
    fingerprint: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    unseen: tuple[str, ...]

    @classmethod
    def of(cls, split: Split, rows: Sequence[str]) -> SplitRecord:
        """Describe a split.

        Args:
            split: The split.
            rows: Names of the N rows of the dataset.

        Returns:
            The split with the names of its rows.
        """
        return cls(
            name=split.name,
            seed=split.seed,
            fingerprint=split.fingerprint,
            train=tuple(rows[i] for i in split.train),
            val=tuple(rows[i] for i in split.val),
            test=tuple(rows[i] for i in split.test),
            unseen=tuple(rows[i] for i in split.unseen_rows),
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SplitRecord:
        """Read split.json.

        Args:
            content: The file as JSON has it.

        Returns:
            The record. A wrong file raises KeyError or TypeError.
        """
        parts = {part: texts(content[part]) for part in ("train", "val", "test", "unseen")}
        name, fingerprint = text(content["name"]), text(content["fingerprint"])
        return cls(name=name, seed=int(number(content["seed"])), fingerprint=fingerprint, **parts)

    def to_json(self) -> dict[str, Any]:
        """Write split.json.

        Returns:
            The file as JSON has it.
        """
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class RunDetails:
    """What the metrics of a run rest on: about.json.

    Attributes:
        about: Values by name, such as data, backbone and split/name.
        overlaps: Unseen classes that the pretraining knew, the strongest relation of each first.
        skipped: Images that could not be read, "name: reason".
        methods: Hyperparameters that each method selected; the trained model is one of them.
        unidentified: Unseen classes that the overlap audit could not place.
        stated_clean: Those of which a person states that the pretraining did not know them.
        possible: What unseen classes without an overlap may overlap with.
        other_senses: What they would overlap with in another sense of their names.
        copies: A line for each image with copies or near copies: the names of its rows.
        unnamed: Why the backbone's own classifier calls the images nothing; "" if it does.
        dropped: Classes of the data without a word vector, which take no part.
    """

    about: dict[str, Any]
    overlaps: tuple[Overlap, ...] = ()
    skipped: tuple[str, ...] = ()
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    unidentified: tuple[str, ...] = ()
    stated_clean: tuple[str, ...] = ()
    possible: tuple[Overlap, ...] = ()
    other_senses: tuple[Overlap, ...] = ()
    copies: tuple[str, ...] = ()
    unnamed: str = ""
    dropped: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunDetails:
        """Read about.json.

        Args:
            content: The file as JSON has it.

        Returns:
            The record. A wrong file raises KeyError or TypeError.
        """
        methods = dict(content.get("methods", {}))
        if wrong := [name for name in methods if not re.fullmatch(r"[^./\\\0][^/\\\0]*", name)]:
            raise ValueError(f"no names of methods, which name files: {wrong}")
        return cls(
            about=scalars(content["about"]),
            overlaps=_overlaps_of(content["leaks"]),
            skipped=texts(content["skipped"]),
            methods={name: dict(values) for name, values in methods.items()},
            unidentified=texts(content.get("unidentified", [])),
            stated_clean=texts(content.get("stated_clean", [])),
            possible=_overlaps_of(content.get("possible", [])),
            other_senses=_overlaps_of(content.get("other_senses", [])),
            copies=texts(content.get("copies", [])),
            unnamed=text(content.get("unnamed", "")),
            dropped=texts(content.get("dropped", [])),
        )

    def to_json(self) -> dict[str, Any]:
        """Write about.json.

        Returns:
            The file as JSON has it.
        """
        return {
            "about": self.about,
            "leaks": [asdict(overlap) for overlap in self.overlaps],
            "skipped": list(self.skipped),
            "methods": self.methods,
            "unidentified": list(self.unidentified),
            "stated_clean": list(self.stated_clean),
            "copies": list(self.copies),
            "possible": [asdict(overlap) for overlap in self.possible],
            "other_senses": [asdict(overlap) for overlap in self.other_senses],
            "unnamed": self.unnamed,
            "dropped": list(self.dropped),
        }

    def verdicts(self, unseen: Iterable[str]) -> dict[str, str]:
        """Give each class the verdict of the overlap audit.

        Args:
            unseen: Names of unseen classes.

        Returns:
            Name -> as AuditReport.verdicts has it.
        """
        return self.audit.verdicts(unseen)

    @property
    def audit(self) -> AuditReport:
        """What the overlap audit says of the unseen classes."""
        checked, unpublished = str(self.about.get("leak/checked_by", "nothing")), ""
        if checked.startswith("nothing"):
            unpublished = unpublished_of(self.about)
            checked = ""
        return AuditReport(
            checked_by=(checked,) if checked else (),
            unpublished=unpublished,
            overlaps=self.overlaps,
            unidentified=self.unidentified,
            stated_clean=self.stated_clean,
            possible=self.possible,
            other_senses=self.other_senses,
        )

    @property
    def relations(self) -> dict[str, tuple[str, ...]]:
        """Overlapping class -> its relations, strongest first, such as "is a kind of hook"."""
        relations: dict[str, tuple[str, ...]] = {}
        for overlap in self.overlaps:
            relations[overlap.name] = (*relations.get(overlap.name, ()), overlap.text)
        return relations


def unpublished_of(about: Mapping[str, Any]) -> str:
    """Say why no overlap with the pretraining could be ruled out, where that is known.

    Args:
        about: What the metrics of a run rest on.

    Returns:
        The reason; "" where overlap was audited, or nobody knows the pretraining.
    """
    checked = str(about.get("leak/checked_by", ""))
    reason = checked.removeprefix("nothing").strip(" ()")
    return "" if reason in ("", checked, "classes unknown") else reason


def about_from_json(content: Mapping[str, Any]) -> dict[str, Any]:
    """Read what the metrics rest on, with what every run says.

    Args:
        content: about.json as JSON has it.

    Returns:
        Values by name. A wrong file raises KeyError, TypeError or ValueError.
    """
    about = RunDetails.from_json(content).about
    texts([about[key] for key in ("data", "backbone", "word_vectors", "split/name")])
    return about


def _overlaps_of(entries: Iterable[Mapping[str, Any]]) -> tuple[Overlap, ...]:
    """Read overlaps; those of earlier versions do not say what they rest on."""
    return tuple(Overlap(**{key: text(value) for key, value in e.items()}) for e in entries)
