"""WordNet's nouns, from a folder on this machine: the senses of a word, and their hypernyms.

The folder is WordNet's own (`dict`, with index.noun and data.noun); Debian's wordnet-base and
nltk's corpus hold the same files. Nothing is downloaded. The format: WordNet's manual, wndb(5WN).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from devise_exp.core.errors import InputError

FILES = ("index.noun", "data.noun")
_HYPERNYMS = ("@", "@i")  # a kind of, and an instance of (Eiffel Tower: tower)
_VERSION = re.compile(rb"WordNet (\d+\.\d+) Copyright")
_ID = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class Synset:
    """One sense.

    Attributes:
        id: Such as n02084071, as ImageNet names it.
        lemmas: Its words, with underscores for spaces.
        hypernyms: The ids that it is a kind or an instance of.
        gloss: What it means, with examples in quotation marks.
    """

    id: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]
    gloss: str


class WordNet:
    """The nouns in a WordNet folder; only what is asked for is parsed.

    Args:
        folder: Holds index.noun and data.noun.

    Raises:
        InputError: The folder lacks one of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            index, self._data = ((folder / name).read_bytes() for name in FILES)
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(
                f"{folder} is not a WordNet folder: it needs the files {' and '.join(FILES)}"
            ) from None
        lines = (line for line in index.splitlines() if line[:1] not in (b"", b" "))
        self._lines = {line.partition(b" ")[0].decode(): line for line in lines}

    @property
    def version(self) -> str:
        """The version in the files, such as 3.0, or ""; ids mean something within one version."""
        match = _VERSION.search(self._data[:4096])
        return match[1].decode() if match else ""

    def senses(self, lemma: str) -> tuple[Synset, ...]:
        """Look a word up.

        Args:
            lemma: One name; case makes no difference, and a space is an underscore.

        Returns:
            Its noun senses, the most frequent first; () for an unknown word.

        Raises:
            InputError: The word's line is damaged, or names a sense that data.noun lacks.
        """
        key = "_".join(lemma.lower().split())
        if key not in self._lines:
            return ()
        fields = self._lines[key].split()
        # lemma, pos, senses, p_cnt, p_cnt pointer symbols, senses, tagged senses, offsets
        try:
            offsets = fields[6 + int(fields[3]) :]
            complete = len(offsets) == int(fields[2])
        except (IndexError, ValueError):
            complete = False
        if not complete:
            raise InputError(
                f"{self.folder / FILES[0]}: the line of {key!r} is damaged: copy the folder again"
            )
        return tuple(self.synset(f"n{offset.decode()}") for offset in offsets)

    def synset(self, id: str) -> Synset:
        """Look a sense up.

        Args:
            id: Such as n02084071.

        Returns:
            The sense.

        Raises:
            InputError: data.noun lacks it, as with the files of two versions.
        """
        start = int(id[1:]) if _ID.fullmatch(id) else len(self._data)
        if self._data[start : start + 9] != f"{id[1:]} ".encode():
            raise InputError(
                f"{self.folder / FILES[1]} has no sense {id}: take both files, unchanged, from one "
                "version of WordNet"
            )
        end = self._data.find(b"\n", start)
        return _parse(self._data[start : end if end >= 0 else None].decode())


def find_wordnet(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Look for WordNet's folder in the usual locations.

    First what the environment says: $WNSEARCHDIR, $WNHOME/dict, corpora/wordnet in $NLTK_DATA and
    in ~/nltk_data; then /usr/share/wordnet (Debian) and the like, and nltk's other folders. nltk is
    not imported, and its corpus must be unpacked.

    Args:
        environment: The environment's variables.

    Returns:
        The first folder that holds FILES, or None.
    """
    folders = _usual_folders(environment)
    return next((f for f in folders if all((f / n).is_file() for n in FILES)), None)


def _usual_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield where WordNet is usually kept."""
    if search_dir := environment.get("WNSEARCHDIR"):
        yield Path(search_dir)
    if wordnet_home := environment.get("WNHOME"):
        yield Path(wordnet_home) / "dict"
    roots = [Path(root) for root in environment.get("NLTK_DATA", "").split(os.pathsep) if root]
    if home := environment.get("HOME"):
        roots.append(Path(home) / "nltk_data")
    yield from (root / "corpora" / "wordnet" for root in roots)
    for folder in ("share/wordnet", "share/wordnet/dict", "local/WordNet-3.0/dict"):
        yield Path("/usr") / folder
    for root in (Path(sys.prefix), Path("/usr"), Path("/usr/local")):
        for sub in ("", "share", "lib"):
            yield root / sub / "nltk_data" / "corpora" / "wordnet"


def _parse(line: str) -> Synset:
    """Parse one line of data.noun."""
    # offset, lexicographer file, type, w_cnt (hex), (word, lex_id) * w_cnt, p_cnt,
    # (symbol, offset, pos, source/target) * p_cnt, "|", gloss
    fields, _, gloss = line.partition(" | ")
    parts = fields.split()
    end = 4 + 2 * int(parts[3], 16)
    pointers = parts[end + 1 : end + 1 + 4 * int(parts[end])]
    return Synset(
        id=f"n{parts[0]}",
        lemmas=tuple(parts[4:end:2]),
        hypernyms=tuple(
            f"n{offset}"
            for symbol, offset in zip(pointers[::4], pointers[1::4], strict=True)
            if symbol in _HYPERNYMS
        ),
        gloss=gloss.strip(),
    )
