"""Data sets as people have them: the first try, the line that it ends in, the try which that names.

Makes three trees of Caltech-101's images in a temporary folder, runs train.py on each without any
option but the folder, does what the line says, and writes a Markdown table of all.

    python experiments/robustness/layouts.py ROOT > experiments/robustness/layouts.md

ROOT is the folder of Caltech-101's class folders.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

REPOSITORY = Path(__file__).parents[2]
CLUTTER = {"BACKGROUND_Google", "Faces_easy"}
# Of ten images of a class seven train, one validates, two test.
PARTS = ("train", "test", "val", *("train",) * 3, "test", *("train",) * 3)
HITS = ("seen/hit@1", "unseen/hit@1", "all_seen/hit@1", "all_unseen/hit@1")
QUICK = ("method=none", "logger=none", "report=none", "labels.on_missing=drop")
SHELVES = {
    "Animals": ("ant", "beaver", "crab", "crayfish", "dolphin", "elephant", "emu", "flamingo",
                "hedgehog", "ibis", "kangaroo", "llama", "lobster", "octopus", "okapi", "panda"),
    "Vehicles": ("airplanes", "ferry", "helicopter", "ketch", "schooner", "wheelchair"),
    "Things": ("anchor", "barrel", "camera", "chair", "cup", "lamp", "laptop", "pyramid",
               "scissors", "umbrella", "watch", "wrench"),
}  # fmt: skip
VARIETIES = {"ferry": "Boats", "ketch": "Boats", "schooner": "Boats", "crab": "Shellfish",
             "crayfish": "Shellfish", "lobster": "Shellfish"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Try:
    """One run of train.py.

    Attributes:
        options: What was given to it.
        line: The line that it ended with; "" if it went through.
        metrics: Of its run folder; empty if it did not go through.
    """

    options: tuple[str, ...]
    line: str
    metrics: dict[str, float]


def sports(classes: Path, root: Path, images: int) -> None:
    """data/{train,valid,test}/<class>, names with spaces, all classes."""
    for folder in class_folders(classes):
        name = folder.name.replace("_", " ")
        for part, image in dealt(folder, images):
            copied(image, root / "data" / {"val": "valid"}.get(part, part) / name)


def groceries(classes: Path, root: Path, images: int) -> None:
    """dataset/{train,val,test}/<coarse>/<class>[/<variety>]."""
    for shelf, names in SHELVES.items():
        for name in names:
            within = Path(shelf, VARIETIES.get(name, ""), name)
            for part, image in dealt(classes / name, images):
                copied(image, root / "dataset" / part / within)


def scenes(classes: Path, root: Path, images: int) -> None:
    """<letter>/<class>_<number>/<image> in grey."""
    for number, folder in enumerate(class_folders(classes)[::2]):
        name = f"{folder.name.lower()}_{number:03}"
        for _, image in dealt(folder, images):
            target = copied(image, root / "Scenes_Grey" / name[0] / name)
            with Image.open(target) as picture:
                picture.convert("L").save(target)


def class_folders(classes: Path) -> list[Path]:
    """Return the class folders of Caltech-101, sorted."""
    return [path for path in sorted(classes.iterdir()) if path.name not in CLUTTER]


def dealt(folder: Path, images: int) -> list[tuple[str, Path]]:
    """Return the first images of a class with their parts."""
    paths = sorted(folder.glob("*.jpg"))[:images]
    return [(PARTS[i % len(PARTS)], path) for i, path in enumerate(paths)]


def copied(image: Path, folder: Path) -> Path:
    """Copy an image into a folder, which is made; return the copy."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(image, folder))


def tried(options: Sequence[str], folder: Path) -> Try:
    """Run train.py with data=image_folder and these options."""
    command = [sys.executable, str(REPOSITORY / "train.py"), "data=image_folder", *QUICK]
    run = subprocess.run(
        [*command, *options, f"hydra.run.dir={folder}"], capture_output=True, text=True, check=False
    )
    if run.returncode:
        return Try(options=tuple(options), line=run.stderr.splitlines()[-1], metrics={})
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return Try(options=tuple(options), line="", metrics=metrics)


def named_options(line: str) -> list[str]:
    """Return the first options that a line names, as a shell reads them."""
    return shlex.split(re.split(r" \(\d+ classes: ", line.partition(": give ")[2])[0])


def tries_of(root: Path, folder: Path) -> list[Try]:
    """Try a folder with no other option, then what each line says; three tries at most."""
    tries = [tried([f"data.root={root}"], folder / "1")]
    while tries[-1].line and len(tries) < 3:
        options = named_options(tries[-1].line)
        if not any(option.startswith("data.root=") for option in options):
            options.insert(0, tries[-1].options[0])
        tries.append(tried(options, folder / str(len(tries) + 1)))
    return tries


def row(name: str, number: int, attempt: Try, root: Path) -> str:
    """Return a row of the table, without the temporary folder."""
    hits = [f"{100 * attempt.metrics[key]:.1f}" if attempt.metrics else "" for key in HITS]
    cells = [name, str(number), f"`{shlex.join(attempt.options)}`", attempt.line, *hits]
    return (
        "| " + " | ".join(cell.replace(f"{root}/", "").replace("|", "/") for cell in cells) + " |"
    )


def main() -> None:
    """Make the trees, try them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="Caltech-101's class folders")
    parser.add_argument("--images", type=int, default=4, help="of each class")
    parser.add_argument("--only", help="one of the layouts: sports, groceries or scenes")
    arguments = parser.parse_args()
    layouts: dict[str, tuple[Callable[[Path, Path, int], None], str]] = {
        "sports": (sports, "data/{train,valid,test}/<class with spaces>"),
        "groceries": (groceries, "dataset/{train,val,test}/<coarse>[/<coarse>]/<class>"),
        "scenes": (scenes, "Scenes_Grey/<letter>/<class>_<number>, images in grey"),
    }
    print("# Three layouts of folders: the first try, its line, and the try that the line names\n")
    print(f"`python experiments/robustness/layouts.py ROOT --images {arguments.images}`; paths are")
    print("below a temporary folder; hit@1 in percent, among labels of one side, then of both.\n")
    print("| layout | try | options | its line | seen | unseen | seen of all | unseen of all |")
    print("| --- | ---: | --- | --- | ---: | ---: | ---: | ---: |")
    for name, (make, description) in layouts.items():
        if arguments.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            make(arguments.root, root / name, arguments.images)
            for number, attempt in enumerate(tries_of(root / name, root / "runs"), 1):
                title = f"{name}: `{description}`" if number == 1 else name
                print(row(title, number, attempt, root), flush=True)


if __name__ == "__main__":
    main()
