"""Make src/devise_exp/text/wordnet/assets/imagenet21k.tsv.gz: ImageNet-21K's labels in WordNet.

python experiments/noun_table/make_imagenet21k.py PAIRS [--out FILE]
"""

from __future__ import annotations

import argparse
import gzip
import re
from pathlib import Path

from timm.data import ImageNetInfo

from devise_exp.core.command import command
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.text.wordnet.hypernyms import hops_above

ROOT = Path(__file__).resolve().parents[2]
_PAIR = re.compile(r"(n\d{8}) (n\d{8})")


def table_bytes(pairs: Path, labels: set[str]) -> bytes:
    """What read_imagenet21k reads; equal files give equal bytes. InputError for a wrong file."""
    hypernyms: dict[str, list[str]] = {label: [] for label in labels}
    for number, line in enumerate(pairs.read_text(encoding="utf-8").splitlines(), start=1):
        match = _PAIR.fullmatch(line)
        if match is None:
            raise InputError(f"{pairs}, line {number}: expected two ids: {line[:80]}")
        above, below = match.groups()
        hypernyms.setdefault(above, [])
        hypernyms.setdefault(below, []).append(above)
    needed = {node for label in labels for node in hops_above(label, hypernyms)}
    last, rows = 0, []
    for node in sorted(needed):  # a step from id to id takes fewer bytes than an id
        number = int(node[1:])
        above = ",".join(str(int(id[1:])) for id in sorted(hypernyms[node]))
        rows.append(f"{number - last}\t{above}\t{int(node in labels)}\n")
        last = number
    return gzip.compress("".join(rows).encode(), compresslevel=9, mtime=0)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Make the table of ImageNet-21K's labels.")
    parser.add_argument("pairs", type=Path, help="wordnet.is_a.txt, see the README")
    default = ROOT / "src" / "devise_exp" / "text" / "wordnet" / "assets" / "imagenet21k.tsv.gz"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    labels = set(ImageNetInfo("imagenet-22k").label_names())
    content = table_bytes(arguments.pairs, labels)
    with atomic_path(arguments.out) as path:
        path.write_bytes(content)
    print(f"{arguments.out}: {len(labels)} labels, {len(content)} bytes")


if __name__ == "__main__":
    main()
