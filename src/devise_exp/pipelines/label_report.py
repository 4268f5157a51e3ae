"""The report of the classes before a training: their words, and what speaks against those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.console import print_content, printable
from devise_exp.data.splits import Split
from devise_exp.data.verdict_kinds import NOT_CHECKED, count_kinds, kind_of
from devise_exp.evaluation.verdicts import AuditReport
from devise_exp.pipelines.labelled import LabelledImages
from devise_exp.reports.table_views import to_rich
from devise_exp.reports.tables import Column, Table
from devise_exp.reports.word_cells import CHECK_HEADINGS, check_cells
from devise_exp.text import labels
from devise_exp.text.distinct import confused_line, is_glove
from devise_exp.text.labels import RULES, Resolution
from devise_exp.text.missing_words import MAX_HINTED
from devise_exp.text.name_lookup import suggest_words
from devise_exp.text.word_checks import WordCheck, check_words
from devise_exp.text.word_vectors.vectors import WordVectors


@dataclass(frozen=True, kw_only=True)
class LabelLine:
    """One class of the report.

    Attributes:
        name: Of the class.
        side: seen or unseen; "" without a split.
        images: How many it has.
        words: Its words in the vocabulary.
        rule: How the words were chosen.
        near: Spellings near the unknown words of a missing class.
        check: What tells whether the words are the right ones; None without words.
        verdict: Whether the backbone's pretraining knew it; "" if that cannot be asked.
    """

    name: str
    side: str
    images: int
    words: str
    rule: str
    near: str
    check: WordCheck | None
    verdict: str


def label_lines(
    labelled: LabelledImages,
    split: Split | None,
    aliases: Mapping[str, str],
    audit: AuditReport | None = None,
) -> list[LabelLine]:
    """Report the classes.

    Args:
        labelled: Images and the words of their classes.
        split: Seen and unseen classes, if they could be split.
        aliases: Class -> the words to take for it.
        audit: What the overlap audit says of all classes; None: it was not asked.

    Returns:
        A line for each class, by rule; what needs attention comes last.
    """
    counts = np.bincount(labelled.class_ids, minlength=len(labelled.resolutions))
    sides: dict[str, str] = {}
    if split is not None:
        sides |= {split.classes[i]: "seen" for i in split.seen}
        sides |= {split.classes[i]: "unseen" for i in split.unseen}
    _, known = labelled.with_word_vectors()
    checks = _checks(known, labelled.vocabulary)
    verdicts = audit.verdicts(r.name for r in labelled.resolutions) if audit else {}
    missing = [r.name for r in labelled.resolutions if r.rule == "missing"]
    near = {
        name: suggest_words(aliases.get(name, name), labelled.vocabulary)
        for name in missing[:MAX_HINTED]
    }
    lines = [
        LabelLine(
            name=r.name,
            side=sides.get(r.name, ""),
            images=int(counts[i]),
            words=" ".join(r.words),
            rule=r.rule,
            near=", ".join(near.get(r.name, ())),
            check=checks.get(r.name),
            verdict=verdicts.get(r.name, ""),
        )
        for i, r in enumerate(labelled.resolutions)
    ]
    return sorted(lines, key=_attention)


def confused_names(labelled: LabelledImages, split: Split | None) -> str:
    """Say which unseen classes have names that word vectors hardly tell apart.

    Args:
        labelled: Images and the words of their classes.
        split: Seen and unseen classes; None: all may be unseen.

    Returns:
        One line; "" if there are none, or if the vectors are not GloVe's, for which it was
        measured.
    """
    _, known = labelled.with_word_vectors()
    if not known or not is_glove(labelled.vocabulary.name):
        return ""
    names = [resolution.name for resolution in known]
    unseen = None if split is None else {split.classes[i] for i in split.unseen}
    asked = np.array([unseen is None or name in unseen for name in names])
    return confused_line(names, labels.class_vectors(known, labelled.vocabulary), asked)


def _attention(line: LabelLine) -> tuple[int, bool]:
    """What needs attention most sorts last."""
    return RULES.index(line.rule), bool(line.check and line.check.suspect)


def _checks(known: Sequence[Resolution], vocabulary: WordVectors) -> dict[str, WordCheck]:
    """Check the words of the classes that have any."""
    if not known:
        return {}
    vectors = labels.class_vectors(known, vocabulary)
    checks = check_words(known, vectors, vocabulary)
    return {r.name: check for r, check in zip(known, checks, strict=True)}


def _verdict_counts(lines: Sequence[LabelLine]) -> list[str]:
    """Count the verdicts of all classes, and of the unseen ones."""
    verdicts = {line.name: line.verdict for line in lines if line.verdict}
    if not verdicts or NOT_CHECKED in map(kind_of, verdicts.values()):
        return []
    unseen = {line.name: line.verdict for line in lines if line.side == "unseen"}
    counts = [f"pretraining of all classes: {count_kinds(verdicts)}"]
    return counts + ([f"of the unseen ones: {count_kinds(unseen)}"] if unseen else [])


def csv_table(lines: Sequence[LabelLine]) -> Table:
    """Make the table of labels.csv.

    Args:
        lines: Of the report.

    Returns:
        A row for each class.
    """
    headings = ("class", "side", "pictures", "words", "how", "near", *CHECK_HEADINGS, "pretraining")
    return Table(columns=tuple(map(Column, headings)), rows=tuple(map(_cells, lines)))


def _cells(line: LabelLine) -> tuple[object, ...]:
    words = line.name, line.side, line.images, line.words, line.rule, line.near
    return (*words, *check_cells(line.check), line.verdict)


def show_lines(lines: Sequence[LabelLine], labelled: LabelledImages, split: str) -> None:
    """Print the report.

    Args:
        lines: Of the report.
        labelled: Images and the words of their classes.
        split: What to say of the split.
    """
    names = map(Column, ("words", "rule", "near spellings", *CHECK_HEADINGS, "pretraining"))
    columns = (Column("class"), Column(""), Column("images", "right"), *names)
    table = Table(columns=columns, rows=tuple(map(_cells, lines)))
    counts = {rule: n for rule, n in labels.count_rules(labelled.resolutions).items() if n}
    sides = [line.side for line in lines]
    parts = [
        f"{len(labelled.dataset.rows):,} images in {len(lines)} classes"
        f" ({sides.count('seen')} seen, {sides.count('unseen')} unseen)",
        f"word vectors {labelled.vocabulary.name}",
        ", ".join(f"{n} {rule}" for rule, n in counts.items()),
        f"{sum(bool(line.check and line.check.suspect) for line in lines)} suspect",
        f"{len(labelled.dataset.skipped)} skipped" if labelled.dataset.skipped else "",
        *_verdict_counts(lines),
        split,
    ]
    summary = " · ".join(part for part in parts if part)
    print_content(to_rich(table), f"\n{printable(summary)}")
