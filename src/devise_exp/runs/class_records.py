"""Records of classes.json. Its keys are written and read here alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from devise_exp.data.splits import Split
from devise_exp.evaluation.image_names import ImageNames
from devise_exp.runs.checked import flag, number, text, texts
from devise_exp.text.labels import Resolution
from devise_exp.text.word_checks import WordCheck


@dataclass(frozen=True, kw_only=True)
class ClassRecord:
    """One class of a run: an entry of classes.json.

    Attributes:
        name: Name of the class.
        seen: Whether the model is trained on it.
        words: Words whose mean vector stands for it.
        rule: How the words were resolved, one of text.labels.RULES.
        check: What tells whether the words are the right ones; None in older runs.
        verdict: Whether the pretraining knew it, by the overlap audit; "" in older runs.
        image_names: What the backbone's own classifier calls its images; None if that is unknown.
    """

    name: str
    seen: bool
    words: tuple[str, ...]
    rule: str
    check: WordCheck | None = None
    verdict: str = ""
    image_names: ImageNames | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClassRecord:
        """Read an entry.

        Args:
            content: The entry as JSON has it.

        Returns:
            The record. A wrong entry raises KeyError or TypeError.
        """
        return cls(
            name=text(content["name"]),
            seen=flag(content["seen"]),
            words=texts(content["words"]),
            rule=text(content["how"]),
            check=_check_of(content["check"]) if "check" in content else None,
            verdict=text(content.get("pretraining", "")),
            image_names=_image_names_of(content["called"]) if "called" in content else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Write the entry.

        Returns:
            The entry as JSON has it.
        """
        entry: dict[str, Any] = {
            "name": self.name,
            "seen": self.seen,
            "words": list(self.words),
            "how": self.rule,
        }
        entry |= {"check": asdict(self.check)} if self.check else {}
        entry |= {"pretraining": self.verdict} if self.verdict else {}
        if self.image_names is not None:
            names = [list(name_and_count) for name_and_count in self.image_names.names]
            entry["called"] = {"images": self.image_names.n, "names": names}
        return entry


def class_records(
    split: Split,
    resolutions: Sequence[Resolution],
    checks: Sequence[WordCheck] = (),
    verdicts: Mapping[str, str] | None = None,
) -> tuple[ClassRecord, ...]:
    """Describe the classes of a split.

    Args:
        split: The split, whose classes are described.
        resolutions: The words of every class, in the order of the classes.
        checks: What tells whether they are the right ones, () for nothing.
        verdicts: Class name -> its verdict in the overlap audit; None: it is not known.

    Returns:
        A record for every class, in the order of their ids.
    """
    seen = set(split.seen.tolist())
    of_class: Sequence[WordCheck | None] = checks or [None] * len(resolutions)
    return tuple(
        ClassRecord(
            name=name,
            seen=i in seen,
            words=tuple(r.words),
            rule=r.rule,
            check=check,
            verdict=(verdicts or {}).get(name, ""),
        )
        for i, (name, r, check) in enumerate(zip(split.classes, resolutions, of_class, strict=True))
    )


def classes_from_json(content: Any) -> tuple[ClassRecord, ...]:
    """Read classes.json.

    Args:
        content: The file as JSON has it.

    Returns:
        A record for every class. A wrong file raises KeyError, TypeError or ValueError.
    """
    if not isinstance(content, list):
        raise TypeError("no list of classes")
    records = tuple(map(ClassRecord.from_json, content))
    if len({record.name for record in records}) < len(records):
        raise ValueError("two classes have one name")
    if {record.seen for record in records} != {True, False}:
        raise ValueError("no seen or no unseen classes")
    return records


def _check_of(content: Mapping[str, Any]) -> WordCheck:
    """Read what the words of a class were checked for."""
    rank, distance = content["rank"], content["distance"]
    return WordCheck(
        nearest=texts(content["nearest"]),
        rank=None if rank is None else int(number(rank)),
        distance=None if distance is None else number(distance),
        suspect=text(content["suspect"]),
    )


def _image_names_of(content: Mapping[str, Any]) -> ImageNames:
    """Read what the images of a class are called."""
    return ImageNames(
        n=int(number(content["images"])),
        names=tuple((text(name), int(number(count))) for name, count in content["names"]),
    )
