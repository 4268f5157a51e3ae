"""Make src/devise_exp/text/wordnet/assets/hypernyms.tsv.gz
from WordNet 3.0 and the classes in classes.ini.

python experiments/hypernym_table/make.py FOLDER [--out FILE] [--show DATASET]
"""

from __future__ import annotations

import argparse
import configparser
import gzip
import re
from collections.abc import Mapping
from pathlib import Path

from devise_exp.core.command import command
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.text.wordnet.database import WordNet
from devise_exp.text.wordnet.hierarchy import VERSION
from devise_exp.text.wordnet.hypernyms import hypernyms_of
from devise_exp.text.wordnet.senses import HYPERNYMS_ROW, SenseTable, likely_sense

ROOT = Path(__file__).resolve().parents[2]
CLASSES = Path(__file__).with_name("classes.ini")
NONE = "-"  # for a class that no noun of WordNet names


def make_table(
    wordnet: WordNet, classes: Mapping[str, Mapping[str, str | None]], imagenet: Mapping[str, str]
) -> SenseTable:
    """The sense of each class: data set -> class -> a sense's id, another word, NONE, or None for
    the likeliest sense of the class name. ImageNet's classes, name -> id, come last.

    Raises InputError for a class or word that WordNet does not have.
    """
    senses = {
        dataset: {name: _sense(wordnet, name, choice, dataset) for name, choice in given.items()}
        for dataset, given in classes.items()
    }
    senses["imagenet"] = {
        ", ".join(dict.fromkeys((name, *_words(wordnet, id)))): id for name, id in imagenet.items()
    }
    ids = [id for by_name in senses.values() for id in by_name.values() if id]
    return SenseTable(senses, hypernyms_of(ids, wordnet))


def read_classes(path: Path) -> dict[str, dict[str, str | None]]:
    """The sections of classes.ini, names as they are written."""
    parser = configparser.ConfigParser(
        delimiters=("=",),
        comment_prefixes=("#",),
        inline_comment_prefixes=("#",),
        allow_no_value=True,
        interpolation=None,
    )
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keeps capitals
    parser.read_string(path.read_text(encoding="utf-8"))
    return {name: dict(parser[name]) for name in parser.sections()}


def imagenet_classes() -> dict[str, str]:
    """ImageNet-1k's class names in torchvision's weights -> ids (sorted ids are in their order)."""
    from timm.data import ImageNetInfo
    from torchvision.models import ResNet18_Weights

    ids = sorted(ImageNetInfo().label_names())
    return dict(zip(ResNet18_Weights.DEFAULT.meta["categories"], ids, strict=True))


def table_bytes(table: SenseTable) -> bytes:
    """What read_sense_table reads; equal tables give equal bytes."""
    rows = [(set_, *row) for set_, senses in table.senses.items() for row in sorted(senses.items())]
    rows += [(HYPERNYMS_ROW, id, " ".join(above)) for id, above in sorted(table.hypernyms.items())]
    text = "".join("\t".join(row) + "\n" for row in rows)
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def _sense(wordnet: WordNet, name: str, choice: str | None, dataset: str) -> str:
    """The id that a line of classes.ini gives a class, "" for none."""
    if choice == NONE:
        return ""
    if choice and re.fullmatch(r"n\d{8}", choice):
        return wordnet.synset(choice).id
    if sense := likely_sense(wordnet, choice or name):
        return sense.id
    raise InputError(
        f"{dataset}: WordNet does not have {choice or name}: give {name} another word, a sense's "
        f"id, or {NONE} in {CLASSES.name}"
    )


def _words(wordnet: WordNet, id: str) -> tuple[str, ...]:
    return tuple(lemma.replace("_", " ") for lemma in wordnet.synset(id).lemmas)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Make the table of classes and hypernyms.")
    parser.add_argument("folder", type=Path, help="WordNet 3.0: holds index.noun and data.noun")
    default = ROOT / "src" / "devise_exp" / "text" / "wordnet" / "assets" / "hypernyms.tsv.gz"
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--show", metavar="DATASET", help="print the chosen senses, to be checked")
    arguments = parser.parse_args()
    wordnet = WordNet(arguments.folder)
    if wordnet.version != VERSION:
        raise InputError(f"{arguments.folder} has WordNet {wordnet.version}: give {VERSION}")
    table = make_table(wordnet, read_classes(CLASSES), imagenet_classes())
    for name, id in table.senses.get(arguments.show, {}).items():
        synset = wordnet.synset(id) if id else None
        print(
            f"{name}: {id} {', '.join(synset.lemmas)}: {synset.gloss}" if synset else f"{name}: -"
        )
    with atomic_path(arguments.out) as made:
        made.write_bytes(table_bytes(table))
    n = sum(map(len, table.senses.values()))
    print(f"{arguments.out}: {n} classes, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
