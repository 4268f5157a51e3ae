"""Make src/devise_exp/text/wordnet/assets/first_senses.tsv.gz from the index of WordNet's nouns.

python experiments/noun_table/make_first_senses.py INDEX [--out FILE]
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

from devise_exp.core.command import command
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.text.names import lemma_keys
from devise_exp.text.wordnet.nouns import shipped_nouns

ROOT = Path(__file__).resolve().parents[2]


def table_bytes(path: Path) -> bytes:
    """What read_first_senses reads; equal files give equal bytes. InputError for a wrong file."""
    first: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        if line.startswith("  "):  # the licence
            continue
        try:
            # lemma, pos, senses, p_cnt, p_cnt pointer symbols, senses, tagged senses, offsets
            lemma, _, _, pointers, *fields = line.split()
            first.setdefault(lemma_keys(lemma), f"n{fields[int(pointers) + 2]}")
        except (IndexError, ValueError):
            raise InputError(f"{path}, line {number}: no line of index.noun: {line[:80]}") from None
    rows = []
    for key, ids in sorted(shipped_nouns().ids.items()):
        if len(ids) > 1 and key in first and first[key] != ids[0]:
            if first[key] not in ids:
                raise InputError(f"{path}: {key} is no noun of WordNet 3.0: give version 3.0")
            rows.append(f"{key}\t{ids.index(first[key])}\n")
    return gzip.compress("".join(rows).encode(), compresslevel=9, mtime=0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} is missing: give index.noun, see the README") from None


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Make the table of nouns' most frequent senses.")
    parser.add_argument("index", type=Path, help="index.noun, see the README")
    default = ROOT / "src" / "devise_exp" / "text" / "wordnet" / "assets" / "first_senses.tsv.gz"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    content = table_bytes(arguments.index)
    with atomic_path(arguments.out) as path:
        path.write_bytes(content)
    print(f"{arguments.out}: {len(content)} bytes")


if __name__ == "__main__":
    main()
