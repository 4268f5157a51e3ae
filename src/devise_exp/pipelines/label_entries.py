"""The entries of config.labels: aliases and merges of the config and of files, for the data."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir, fingerprint, write_text
from devise_exp.core.name_files import NameIndex, listed, read_pairs
from devise_exp.core.spelling import nearest_spellings
from devise_exp.text.label_options import as_names, require_classes
from devise_exp.text.missing_words import MissingWordsError
from devise_exp.text.names import spelling_key, split_synonyms


def label_entries(
    options: DictConfig, option: str, classes: Sequence[str], kept: Sequence[str]
) -> dict[str, str]:
    """Collect the aliases or merges of a config and of its file, which goes first.

    Args:
        options: config.labels.
        option: aliases or merges.
        classes: Of the whole dataset.
        kept: Those that a subset has left.

    Returns:
        Class -> what stands for it, without entries of classes that the subset has left out and,
        with labels.on_unknown=drop, of classes that the data lack.

    Raises:
        InputError: The file is no such table, or names no class.
    """
    entries = as_names(_plain(options, option), classes)
    path, name = options.get(f"{option}_file"), f"labels.{option}_file"
    if path is not None:
        from_file = as_names(read_pairs(str(path), name), classes)
        require_classes(from_file, classes, f"{option}_file")
        entries |= from_file
    if option == "merges":
        index = NameIndex(classes)
        entries = {key: index.find(value) for key, value in entries.items()}
    gone = set(classes) - set(kept)
    present = {k: v for k, v in entries.items() if k not in gone and v not in gone}
    return _without_unknown(options, option, present, classes)


def _without_unknown(
    options: DictConfig, option: str, entries: dict[str, str], classes: Sequence[str]
) -> dict[str, str]:
    """Leave out entries of classes that the data lack, if labels.on_unknown asks for it."""
    on_unknown = options.get("on_unknown", "error")
    if on_unknown not in ("error", "drop"):
        raise InputError(f"labels.on_unknown={on_unknown}: choose error or drop")
    if on_unknown == "error":
        return entries
    known = set(classes)
    unknown = {
        key: value
        for key, value in entries.items()
        if key not in known or (option == "merges" and value not in known)
    }
    if unknown:
        notify(
            f"{len(unknown)} of {len(entries)} labels.{option} are of no class of this data: "
            f"{listed(unknown, 3)}"
        )
    return {key: value for key, value in entries.items() if key not in unknown}


def stated_clean(options: DictConfig, classes: Sequence[str]) -> tuple[str, ...]:
    """Read which classes a person says that the backbone's pretraining did not know.

    Args:
        options: config.labels.
        classes: C class names.

    Returns:
        Names of classes.

    Raises:
        InputError: A name is none of the classes, or the option is no list.
    """
    stated = options.get("stated_clean") or []
    if not OmegaConf.is_list(stated) and not isinstance(stated, list):
        raise InputError(f"labels.stated_clean={stated}: give a list of class names, [NAME,NAME]")
    index = NameIndex(classes)
    names = [index.find(name) for name in stated]
    require_classes(names, classes, "stated_clean")
    return tuple(names)


def stated_overlapping(
    options: DictConfig, classes: Sequence[str], categories: Sequence[str] | None
) -> dict[str, str]:
    """Read which classes a person says that the backbone's pretraining knew.

    Args:
        options: config.labels.
        classes: C class names.
        categories: Names of the pretraining classes; None if they are not known.

    Returns:
        Name of a class -> the pretraining class, "" for none in particular.

    Raises:
        InputError: A name is none of the classes, or of the pretraining; a class is stated to be
            clean too; or the option is neither a list nor a mapping.
    """
    stated = options.get("stated_overlapping") or {}
    plain = OmegaConf.to_container(stated) if OmegaConf.is_config(stated) else stated
    if not isinstance(plain, dict | list):
        raise InputError(
            f"labels.stated_overlapping={plain}: give a list of class names, [NAME,NAME], or a "
            "mapping, {NAME: PRETRAINING CLASS}"
        )
    index = NameIndex(classes)
    pairs = plain.items() if isinstance(plain, dict) else [(name, None) for name in plain]
    entries = {index.find(name): _category(category, categories) for name, category in pairs}
    require_classes(entries, classes, "stated_overlapping")
    if twice := [name for name in stated_clean(options, classes) if name in entries]:
        raise InputError(
            f"labels.stated_clean and labels.stated_overlapping both name {listed(twice)}: take "
            "each out of one of them"
        )
    return entries


def _category(value: object, categories: Sequence[str] | None) -> str:
    """The pretraining class that a person names by one of its synonyms."""
    if value is None:
        return ""
    by_key = {
        spelling_key(synonym): category
        for category in reversed(categories or ())
        for synonym in (category, *split_synonyms(category))
    }
    if categories is not None and spelling_key(str(value)) not in by_key:
        names = [split_synonyms(category)[0] for category in categories]
        near = ", ".join(nearest_spellings(str(value), names)) or "none"
        raise InputError(
            f"labels.stated_overlapping: {value} is none of the {len(names)} classes of the "
            f"backbone's pretraining (near: {near}): give one of them, or a list of class names"
        )
    return by_key.get(spelling_key(str(value)), str(value))


def with_file(error: MissingWordsError, aliases: Mapping[str, str], path: object) -> InputError:
    """Write the classes without words to a file that a person can edit, and say where it is.

    Args:
        error: About these classes.
        aliases: Those in the person's file so far.
        path: That file, or None.

    Returns:
        The error with the remedy.
    """
    rows = [("class", "words"), *aliases.items()] if path else [("class", "words")]
    rows += [(name, error.suggestions.get(name, "")) for name in error.names if name not in aliases]
    text = io.StringIO()
    if any(name.startswith("#") for name, _ in rows):  # a comment unless it is in quotes
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    else:
        csv.writer(text, lineterminator="\n").writerows(rows)
    # Named by its content: a file that was edited since is never written over.
    file = cache_dir() / "labels" / f"words-{fingerprint(text.getvalue(), size=6)}.csv"
    try:
        if not file.exists():
            write_text(file, text.getvalue())
    except OSError:
        return error
    return InputError(
        f"{error}. All {len(error.names)} are in {file} with the nearest words: correct them and "
        f"add labels.aliases_file={Path(file)}"
    )


def _plain(options: DictConfig, option: str) -> dict[Any, Any]:
    """A mapping of the config."""
    value = options.get(option) or {}
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if not isinstance(plain, dict):
        raise InputError(f"labels.{option}={plain}: give a mapping, {{NAME: WORD}}")
    return plain
