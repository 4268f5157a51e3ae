"""Descriptions of classes from a file: class -> one or many sentences, whose vectors are averaged.

The form of published sets: JSON as {"okapi": ["It has striped legs.", ...]} (Pratt et al. 2023,
CuPL; Menon and Vondrick 2023), or CSV with a class and sentences on every line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.files import fingerprint
from devise_exp.core.spelling import nearest_spellings
from devise_exp.text.names import spelling_key, spelling_keys, split_synonyms
from devise_exp.text.wordnet.glosses import readable_name

GLOSS = ": "  # between a name and what describes it
PLAIN = "{description}"  # a sentence as the file has it
_LARGEST = 2**28  # bytes of a file
_HEADINGS = ("class", "label", "name", "category", "classname")
_OPTION = "word_vectors.descriptions"
_HINT = 'give JSON as {"okapi": ["It has striped legs."]}, or CSV with lines CLASS,SENTENCE'


@dataclass(frozen=True, eq=False, kw_only=True)
class Descriptions:
    """Sentences by the name of a class, however that is spelt.

    Attributes:
        file: Name of the file, for messages.
        entries: Name -> its sentences, in the order of the file.
        form: How a sentence is written, with {description} and perhaps {name}.
    """

    file: str
    entries: Mapping[str, tuple[str, ...]]
    form: str = PLAIN

    def __post_init__(self) -> None:
        self.find("a")  # two spellings of one name are an error here, not at the first class

    @property
    def fingerprint(self) -> str:
        """Hash of the content."""
        return fingerprint(json.dumps([dict(self.entries), self.form]))

    def find(self, name: str, alias: str = "") -> str | None:
        """Look up a class: by its alias, then by its name, by their synonyms and inflections.

        Args:
            name: The class.
            alias: Other words for it; "" for none.

        Returns:
            The name of its entry, None if there is none.
        """
        for phrase in filter(None, (alias, name)):
            if phrase in self.entries:
                return phrase
            synonyms = split_synonyms(phrase)
            keys = [spelling_key(synonym) for synonym in (phrase, *synonyms)]
            for key in (*keys, *spelling_keys([phrase])):
                if key and key in self._by_key:
                    return self._by_key[key]
        return None

    def text(self, entry: str) -> str:
        """Write an entry as the text that stands for a class.

        Args:
            entry: Name of an entry.

        Returns:
            The name, the first sentence, and how many more there are.
        """
        first, *more = self.entries[entry]
        rest = f" (and {len(more)} more)" if more else ""
        return f"{readable_name(entry)}{GLOSS}{first}{rest}"

    def sentences(self, text: str) -> tuple[str, ...] | None:
        """Look up the sentences behind a text.

        Args:
            text: Any text.

        Returns:
            The sentences to encode; None if the text stands for no entry.
        """
        entry = self._by_text.get(text)
        if entry is None:
            return None
        name = readable_name(entry)
        filled = (self.form.replace("{name}", name).replace(PLAIN, s) for s in self.entries[entry])
        return tuple(filled)

    def near(self, word: str, n: int) -> list[str]:
        """List entries that are spelt like a word.

        Args:
            word: Any spelling.
            n: How many at most.

        Returns:
            Names of entries, the nearest first.
        """
        return nearest_spellings(word, list(self.entries), n=n)

    @cached_property
    def _by_text(self) -> dict[str, str]:
        return {self.text(entry): entry for entry in self.entries}

    @cached_property
    def _by_key(self) -> dict[str, str]:
        """Spelling key -> entry; whole names go before synonyms."""
        table: dict[str, str] = {}
        for entry in self.entries:
            other = table.setdefault(spelling_key(entry), entry)
            if self.entries[other] != self.entries[entry]:
                raise InputError(
                    f"{_OPTION}: {self.file} describes {other!r} and {entry!r}, which are one name "
                    "spelt in two ways: leave one out"
                )
        for entry in self.entries:
            for synonym in split_synonyms(entry):
                table.setdefault(spelling_key(synonym), entry)
        return table


@dataclass(frozen=True, eq=False, kw_only=True)
class Described:
    """The options of word vectors that say how classes are described.

    Attributes:
        descriptions: Sentences for classes; None for none.
        needs_all: Whether a class without a description is missing.
    """

    descriptions: Descriptions | None = None
    needs_all: bool = True

    @property
    def content(self) -> tuple[object, ...]:
        """What decides the vectors, for a fingerprint."""
        descriptions = self.descriptions
        return () if descriptions is None else (descriptions.fingerprint, self.needs_all)

    @property
    def title(self) -> str:
        """What the name of the vectors gains."""
        return f" by {self.descriptions.file}" if self.descriptions else ""


def read_described(path: str | Path | None, form: str, undescribed: str) -> Described:
    """Read the options `descriptions`, `described_as` and `undescribed`.

    Args:
        path: As of `read_descriptions`; None for no descriptions.
        form: Likewise.
        undescribed: "error" or "name".

    Returns:
        What they say.

    Raises:
        InputError: A value is wrong.
    """
    if undescribed not in ("error", "name"):
        raise InputError(f"word_vectors.undescribed={undescribed}: give error or name")
    if path is None:
        return Described()
    return Described(descriptions=read_descriptions(path, form), needs_all=undescribed == "error")


def read_descriptions(path: str | Path, form: str = PLAIN) -> Descriptions:
    """Read a file of descriptions.

    Args:
        path: JSON (an object), CSV or TSV.
        form: How a sentence is written, with {description} and perhaps {name}.

    Returns:
        The descriptions.

    Raises:
        InputError: The file is missing, damaged or empty, or holds something else.
    """
    if form.count(PLAIN) != 1:
        raise InputError(
            f"word_vectors.described_as={form}: write {PLAIN} once, as in '{{name}}, which has "
            f"{PLAIN}'"
        )
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"{_OPTION}={path}: no such file: {_HINT}")
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"larger than {_LARGEST:,} bytes")
        pairs = list(_json(file) if file.suffix.lower() == ".json" else _table(file))
    except (OSError, ValueError, TypeError, csv.Error, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{_OPTION}={path}: no descriptions ({reason}): {_HINT}") from error
    entries: dict[str, list[str]] = {}
    for name, sentence in pairs:
        entries.setdefault(name, []).append(sentence)
    if not entries:
        raise InputError(f"{_OPTION}={path}: it describes no class: {_HINT}")
    content = {name: tuple(dict.fromkeys(sentences)) for name, sentences in entries.items()}
    return Descriptions(file=file.name, entries=content, form=form)


def _json(file: Path) -> Iterator[tuple[str, str]]:
    """Class and sentence, from an object of texts or lists of texts."""
    content: Any = json.loads(file.read_text(encoding="utf-8-sig"))
    if not isinstance(content, dict):
        raise ValueError("the file is no JSON object")
    for name, value in content.items():
        sentences = [value] if isinstance(value, str) else value
        if not isinstance(sentences, list) or not all(isinstance(s, str) for s in sentences):
            raise ValueError(f"{name!r} has no sentence and no list of sentences")
        yield from _filled(name, sentences)


def _table(file: Path) -> Iterator[tuple[str, str]]:
    """Class and sentence, from lines of a class and one or more sentences."""
    delimiter = "\t" if file.suffix.lower() in (".tsv", ".tab") else ","
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for number, row in enumerate(csv.reader(lines, delimiter=delimiter, strict=True), 1):
            if not any(map(str.strip, row)):
                continue
            if number == 1 and row[0].strip().lower() in _HEADINGS:
                continue
            if len(row) < 2 or not row[0].strip():
                raise ValueError(f"line {number} has no class and sentence")
            yield from _filled(row[0].strip(), row[1:])


def _filled(name: str, sentences: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The sentences that say something; ValueError if none does."""
    written = [" ".join(sentence.split()) for sentence in sentences]
    if not any(written):
        raise ValueError(f"{name!r} has no sentence")
    yield from ((name, sentence) for sentence in written if sentence)
