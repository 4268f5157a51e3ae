"""The overlap audit of a config: its classes, what a person states of them, and what is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from omegaconf import DictConfig

from devise_exp.core.console import warn
from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.splits import Split
from devise_exp.data.verdict_kinds import POSSIBLE, kind_of
from devise_exp.evaluation.verdicts import AuditReport
from devise_exp.features.backbones.base import Backbone
from devise_exp.pipelines.experiment_data import audit_classes
from devise_exp.pipelines.label_entries import stated_clean, stated_overlapping
from devise_exp.pipelines.labelled import LabelledImages
from devise_exp.text.label_options import alias_override

_SHOWN = 5  # reasons in one message


def audit_config(config: DictConfig, labelled: LabelledImages, backbone: Backbone) -> AuditReport:
    """Audit all classes of a config, those without words by their names.

    Classes without words count too, as the sense of a name goes by the other names of the data.

    Args:
        config: Of train.py.
        labelled: Its images with their words.
        backbone: Its pretraining is asked for the classes.

    Returns:
        The report of all these classes.

    Raises:
        InputError: If a person states something of a class that there is not, or contradicts
            himself.
    """
    classes, categories = labelled.whole.classes, backbone.categories
    names = {r.name: r.display_name if r.rule != "missing" else "" for r in labelled.resolutions}
    overlapping = stated_overlapping(config.labels, classes, categories)
    return audit_classes(names, backbone, stated_clean(config.labels, classes), overlapping)


def verdict_kinds(audit: AuditReport, labelled: LabelledImages) -> Mapping[str, str] | None:
    """List what a split may know of the classes.

    Args:
        audit: Of all classes.
        labelled: Their names.

    Returns:
        Class name -> the kind of its verdict; None if the pretraining classes are not known.
    """
    if not audit.checked_by:
        return None
    verdicts = audit.verdicts(r.name for r in labelled.resolutions)
    return {name: kind_of(verdict) for name, verdict in verdicts.items()}


def require_clean(split: Split, audit: AuditReport) -> None:
    """Refuse unseen classes that are not shown to be clean, if the split requires it.

    Args:
        split: The split.
        audit: Of its unseen classes.

    Raises:
        InputError: If one of them overlaps or may overlap with the pretraining, or nobody knows.
    """
    if split.clean != "require":
        return
    n, names = len(split.unseen), [split.classes[c] for c in split.unseen]
    if not audit.checked_by:
        raise InputError(
            "split.clean=require: the classes of the backbone's pretraining are unknown, so no "
            "overlap can be ruled out: choose a backbone with published classes, or clean=report"
        )
    if audit.overlaps:
        overlapping = audit.overlapping
        raise InputError(
            f"split.clean=require: the backbone's pretraining knew {len(overlapping)} of {n} "
            f"unseen classes ({_reasons(audit, overlapping)}; of all: {audit.count(names)}): hold "
            "out other classes (split=clean draws some), or say split.clean=report to see clean "
            "and overlapping ones apart"
        )
    if undecided := audit.undecided:
        raise InputError(
            f"split.clean=require: {_undecided(audit, n)}, so no overlap can be ruled out "
            f"({_reasons(audit, undecided)}): {_remedy(audit)}, hold out other classes "
            "(split=clean draws some), or say split.clean=report"
        )


def _undecided(audit: AuditReport, n: int) -> str:
    """How many of n unseen classes may overlap, and how many are not identified."""
    unidentified = len(audit.unidentified)
    possible = len(audit.undecided) - unidentified
    parts = [
        f"{possible} of {n} unseen classes may overlap with the pretraining" if possible else "",
        f"{unidentified} of {n} unseen classes are not identified" if unidentified else "",
    ]
    return " and ".join(filter(None, parts))


def announce_audit(every: AuditReport, unseen: Collection[str]) -> None:
    """Warn of unseen classes that the pretraining knew, or may have known, and say what to do.

    Args:
        every: The audit of all classes: what a person states in vain is said of seen ones too.
        unseen: Names of the unseen classes.
    """
    audit, n = every.of(unseen), len(unseen)
    if audit.overlapping:
        warn(
            f"{len(audit.overlapping)} of {n} unseen classes were in the backbone's pretraining: "
            f"{listed(audit.overlapping)} (about.json says how)"
        )
    if undecided := audit.undecided:
        warn(
            f"{_undecided(audit, n)}, so the pretraining may have known them "
            f"({_reasons(audit, undecided)}): {_remedy(audit)}, or draw classes that pass "
            "(split=clean)"
        )
    if every.overruled:
        warn(
            f"labels.stated_clean names {listed(every.overruled)}, which the audit finds in the "
            "pretraining: it stays overlapping"
        )
    if not audit.checked_by:
        unknown = "the backbone's pretraining classes are unknown, so overlap was not audited"
        warn(every.unpublished or unknown)


def _remedy(audit: AuditReport) -> str:
    """What a person can do about classes without a sure verdict; a known noun needs no other."""
    noun = ""
    if audit.unidentified:
        alias = alias_override(audit.unidentified[0])
        which = "each that is not identified" if audit.possible else "each"
        noun = f"give {which} a noun that the audit knows ({alias}), or "
    return (
        f"{noun}state what you know "
        "(labels.stated_clean=[NAME,NAME], labels.stated_overlapping=[NAME,NAME])"
    )


def _reasons(audit: AuditReport, names: tuple[str, ...]) -> str:
    """The verdicts of some classes: the first of them, and how many more there are."""
    verdicts = audit.verdicts(names)
    texts = [f"{name} {verdicts[name].removeprefix(f'{POSSIBLE}: ')}".strip() for name in names]
    unidentified = {*audit.unidentified}
    if all(name in unidentified for name in names):
        return listed(names)
    more = f"; {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more
