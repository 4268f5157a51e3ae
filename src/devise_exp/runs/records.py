"""Records of a run folder's JSON files. The keys on disk are written and read here alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from devise_exp.data.splits import Split
from devise_exp.evaluation.leakage import Overlap
from devise_exp.text.labels import Resolution


@dataclass(frozen=True)
class ClassRecord:
    """One class of a run: an entry of classes.json.

    Attributes:
        name: Name of the class.
        seen: Whether the model is trained on it.
        words: Words whose mean vector stands for it.
        rule: How the words were resolved, one of text.labels.RULES.
    """

    name: str
    seen: bool
    words: tuple[str, ...]
    rule: str

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClassRecord:
        """Read an entry.

        Args:
            content: The entry as JSON has it.

        Returns:
            The record. A wrong entry raises KeyError or TypeError.
        """
        return cls(
            name=_text(content["name"]),
            seen=bool(content["seen"]),
            words=tuple(_text(word) for word in content["words"]),
            rule=_text(content["how"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Write the entry.

        Returns:
            The entry as JSON has it.
        """
        return {
            "name": self.name,
            "seen": self.seen,
            "words": list(self.words),
            "how": self.rule,
        }


def class_records(split: Split, resolutions: Sequence[Resolution]) -> tuple[ClassRecord, ...]:
    """Describe the classes of a split.

    Args:
        split: The split, whose classes are described.
        resolutions: The words of every class, in the order of the classes.

    Returns:
        A record for every class, in the order of their ids.
    """
    seen = set(split.seen.tolist())
    return tuple(
        ClassRecord(name=name, seen=i in seen, words=tuple(r.words), rule=r.rule)
        for i, (name, r) in enumerate(zip(split.classes, resolutions, strict=True))
    )


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
        parts = {part: tuple(content[part]) for part in ("train", "val", "test", "unseen")}
        fingerprint = _text(content["fingerprint"])
        return cls(name=content["name"], seed=content["seed"], fingerprint=fingerprint, **parts)

    def to_json(self) -> dict[str, Any]:
        """Write split.json.

        Returns:
            The file as JSON has it.
        """
        return asdict(self)


@dataclass(frozen=True)
class RunDetails:
    """What the metrics of a run rest on: about.json.

    Attributes:
        about: Values by name, such as data, backbone and split/name.
        overlaps: Unseen classes that the pretraining knew, the strongest relation of each first.
        skipped: Images that could not be read, "name: reason".
        methods: Hyperparameters that each method selected; the trained model is one of them.
    """

    about: dict[str, Any]
    overlaps: tuple[Overlap, ...] = ()
    skipped: tuple[str, ...] = ()
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunDetails:
        """Read about.json.

        Args:
            content: The file as JSON has it.

        Returns:
            The record. A wrong file raises KeyError or TypeError.
        """
        return cls(
            about=dict(content["about"]),
            overlaps=tuple(Overlap(**overlap) for overlap in content["leaks"]),
            skipped=tuple(content["skipped"]),
            methods=dict(content.get("methods", {})),
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
        }

    @property
    def relations(self) -> dict[str, tuple[str, ...]]:
        """Overlapping class -> its relations, strongest first, such as "is a kind of hook"."""
        relations: dict[str, tuple[str, ...]] = {}
        for overlap in self.overlaps:
            relation = f"{overlap.relation} {overlap.category}"
            relations[overlap.name] = (*relations.get(overlap.name, ()), relation)
        return relations


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
