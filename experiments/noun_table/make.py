"""Make src/devise_exp/text/wordnet/assets/nouns.tsv.gz from the words of WordNet's noun synsets.

python experiments/noun_table/make.py WORDS [--out FILE]
"""

from __future__ import annotations

import argparse
import gzip
import re
from pathlib import Path

from devise_exp.core.command import command
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path

ROOT = Path(__file__).resolve().parents[2]
_LINE = re.compile(r"n(\d{8})\t(\S.*)")


def table_bytes(path: Path) -> bytes:
    """What read_nouns reads; equal files give equal bytes. Raises InputError for a wrong file."""
    words: dict[int, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError(f"{path}, line {number}: expected an id, a tab and words: {line[:80]}")
        words[int(match[1])] = match[2]
    last, rows = 0, []
    for id in sorted(words):  # a step from id to id takes fewer bytes than an id
        rows.append(f"{id - last}\t{words[id]}\n")
        last = id
    return gzip.compress("".join(rows).encode(), compresslevel=9, mtime=0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} is missing: give words.txt, see the README") from None


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Make the table of WordNet's nouns.")
    parser.add_argument("words", type=Path, help="words.txt, see the README")
    default = ROOT / "src" / "devise_exp" / "text" / "wordnet" / "assets" / "nouns.tsv.gz"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    content = table_bytes(arguments.words)
    with atomic_path(arguments.out) as path:
        path.write_bytes(content)
    print(f"{arguments.out}: {len(content)} bytes")


if __name__ == "__main__":
    main()
