"""Run folders of somebody else: a small real run with changed files, as all commands read it."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
BASE = Path(tempfile.gettempdir()) / "devise_exp_robustness_runs"
COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "lion": (200, 120, 30),
           "boat": (30, 30, 200), "ship": (30, 120, 200), "helicopter": (200, 30, 200)}  # fmt: skip
SMALL = (
    "data=image_folder", f"data.root={BASE / 'images'}", "split.n_unseen=2", "backbone=timm",
    "backbone.name=test_resnet", "backbone.pretrained=false", "projection.hidden=16",
    "trainer.max_epochs=1", "features.num_workers=0", "spaces=[backbone,classifier]",
    "word_vectors.limit=20000", "class_folds=0", "logger=none", f"hydra.run.dir={BASE / 'run'}",
)  # fmt: skip
JSON = ("classes", "split", "about", "metrics", "hierarchy", "diagnostics", "gallery/rows",
        "index/meta", "gallery/devise/meta")  # fmt: skip
ARRAYS = ("class_vectors.npy", "gallery/devise/vectors.npy", "neighbours.npz", "classifier.npz",
          "embeddings/devise.npz", "embeddings/softmax.npz")  # fmt: skip
DEEP = "[" * 100_000 + "]" * 100_000
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 3, 2.5, float("nan"), float("inf"), 10**30, "", "x", "../../../etc/passwd",
    "\x1b]0;title\a", "\u5927\u718a\u732b", "w" * 100_000, [], {}, [None], {"a": 1}, [[1]],
)  # fmt: skip


def make(folder: Path, random: random.Random, number: int) -> str:
    """Copy the run and change one of its files.

    Args:
        folder: Gets run/.
        random: Decides everything.
        number: Of the case, which decides the sort.

    Returns:
        The sort of case.
    """
    _train()
    run = shutil.copytree(BASE / "run", folder / "run")
    sort = list(SORTS)[number % len(SORTS)]
    SORTS[sort](run, random)
    (folder / "number").write_text(str(number))
    return sort


def prepare() -> None:
    """Train the run, once for all processes, and import what reads it."""
    _train()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        whole = shutil.copytree(BASE / "run", Path(folder) / "run")
        assert not _commands(whole, 0)
        assert not _commands(whole, 1)


def read(folder: Path) -> str:
    """Let every command read the run.

    Args:
        folder: Of `make`.

    Returns:
        How many commands could use the run. If one could not, its line is an InputError.
    """
    from devise_exp.core.errors import InputError

    start = time.process_time()
    lines = _commands(folder / "run", int((folder / "number").read_text()))
    assert time.process_time() - start < 10, "over 10 seconds of a processor"
    for line in lines:
        assert line.startswith("error: "), line
        assert line.count("\n") == 1, line
        assert len(line) < 1000, line
    if lines:
        raise InputError(lines[0].strip())
    return "all commands"


def _train() -> None:
    """Train the run unless it is there; its folder is in that for temporary files, and stays."""
    if (BASE / "run/metrics.json").is_file():
        return
    from PIL import Image

    for i, (name, colour) in enumerate(COLOURS.items()):
        (BASE / "images" / name).mkdir(parents=True, exist_ok=True)
        for j in range(10):
            noise = np.random.default_rng(10 * i + j).integers(-25, 26, (40, 40, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(BASE / "images" / name / f"{j}.png")
    subprocess.run([sys.executable, str(ROOT / "train.py"), *SMALL], check=True, cwd=BASE)


def _commands(run: Path, number: int) -> list[str]:
    """The lines of the commands that refuse a run; anything else that a command raises passes."""
    from typer.testing import CliRunner

    from devise_exp.core.errors import InputError, input_errors
    from devise_exp.pipelines.from_python import evaluate
    from devise_exp.ui.cli.main import app

    image = str(BASE / "images/cat/0.png")
    calls: list[list[str]] = [
        ["show", str(run)], ["classes", str(run)], ["compare", str(run), "--methods"],
        ["words", str(run), "cat"], ["search", str(run), "cat -dog"],
    ]  # fmt: skip
    heavy = [
        ["tag", str(run), image], ["similar", str(run), image, "--space", "classifier"],
        ["similar", str(run), image, "--space", "backbone", "--among", "unseen"],
    ]  # fmt: skip
    lines = []
    for call in [*calls, *(heavy if number % 2 else [])]:
        result = CliRunner().invoke(app, call)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code in (0, 2), result.output
        if result.exit_code:
            lines.append(result.stderr[result.stderr.find("error: ") :])
    if not number % 2:
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), input_errors():
                evaluate(str(run))
        except InputError as error:
            lines.append(f"error: {error}\n")
    return lines


def _any_file(run: Path, random: random.Random) -> Path:
    files = sorted(path for path in run.rglob("*") if path.is_file() and ".hydra" not in path.parts)
    return random.choice(files)


def _bytes(run: Path, random: random.Random) -> None:
    file = _any_file(run, random)
    content = bytearray(file.read_bytes())
    kind = random.randrange(4)
    if kind == 0:
        content = content[: random.randrange(len(content))]
    elif kind == 1:
        content += random.randbytes(random.randint(1, 100))
    else:
        for _ in range(random.randint(1, 8) if kind == 2 else len(content) // 20 + 1):
            content[random.randrange(len(content))] = random.randrange(256)
    file.write_bytes(content)


def _json(run: Path, random: random.Random) -> None:
    file = run / f"{random.choice(JSON)}.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    if random.random() < 0.15:
        text = json.dumps(random.choice(ODD)) if random.random() < 0.7 else DEEP
        file.write_text(text, encoding="utf-8")
        return
    for _ in range(random.randint(1, 3)):
        content = _mutated(content, random)
    file.write_text(json.dumps(content), encoding="utf-8")


def _mutated(value: Any, random: random.Random) -> Any:
    """The value with one of its parts replaced, removed or repeated."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(sorted(value))
        if random.random() < 0.2:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: _mutated(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        i = random.randrange(len(value))
        if random.random() < 0.3:
            return [*value[:i], *random.choice([[], [value[i]] * 2]), *value[i + 1 :]]
        return [*value[:i], _mutated(value[i], random), *value[i + 1 :]]
    return random.choice(ODD)


def _arrays(run: Path, random: random.Random) -> None:
    file = run / random.choice(ARRAYS)
    if file.suffix == ".npy":
        np.save(file, _odd_array(np.load(file), random), allow_pickle=True)
    else:
        with np.load(file) as archive:
            arrays = dict(archive)
        key = random.choice(sorted(arrays))
        if random.random() < 0.1:
            del arrays[key]
        else:
            arrays[key] = _odd_array(arrays[key], random)
        (np.savez_compressed if random.random() < 0.1 else np.savez)(file, **arrays)
    _sign(file)


def _odd_array(array: np.ndarray, random: random.Random) -> np.ndarray:
    changes: tuple[Callable[[], Any], ...] = (
        lambda: array[:-1], lambda: array[:0], lambda: array[..., :1], lambda: array[None],
        lambda: array.T, lambda: array.ravel(), lambda: np.concatenate([array, array]),
        lambda: array * np.nan, lambda: array * 0, lambda: array * np.inf, lambda: array * 1e30,
        lambda: array.astype(bool), lambda: array.astype(str), lambda: array.astype(complex),
        lambda: array.astype(object), lambda: array.astype(np.int64), lambda: array - 100,
        lambda: array.astype(np.float64), lambda: array.astype(">f4"), lambda: np.array("x"),
        lambda: array.astype(np.float16), lambda: np.zeros((3, 0)), lambda: array + 10**6,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        try:
            return np.asarray(random.choice(changes)())
        except (IndexError, ValueError, TypeError, OverflowError):
            return np.zeros(3)


def _claims(run: Path, random: random.Random) -> None:
    """An array whose header claims terabytes, nothing at all, or a type of no size."""
    file = run / random.choice(ARRAYS)
    shape = random.choice(["(10**3, 25)", "(50000000000, 500)", "(2**40,)", "(0, 50)", "(-5, 50)",
                           "(100000000000000,)", "()", "(9, 500000000)"])  # fmt: skip
    dtype = random.choice(["<f4", "<f8", "<U0", "|O", "|V0", "<U1000000000", "|b1"])
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"1234"
    if file.suffix == ".npy":
        file.write_bytes(content)
    else:
        with np.load(file) as archive:
            key = random.choice(sorted(archive.files))
        method = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
        with zipfile.ZipFile(file, "a", method) as archive:
            archive.writestr(f"{key}.npy", content + bytes(random.choice([0, 10**7])))
    _sign(file)


def _sign(file: Path) -> None:
    """Put the checksum of a changed file of an index into its meta.json."""
    from devise_exp.core.files import checksum

    meta = file.parent / "meta.json"
    if meta.is_file() and file != meta:
        content = json.loads(meta.read_text())
        content["checksums"][file.name] = checksum(file)
        meta.write_text(json.dumps(content))


def _config(run: Path, random: random.Random) -> None:
    import yaml

    file = run / "config.yaml"
    if random.random() < 0.4:
        aliases = "".join(f"{b}: [{', '.join(['*' + a] * 9)}]\n".replace(":", f": &{b}", 1)
                          for a, b in zip("abcdefghi", "bcdefghij", strict=True))  # fmt: skip
        texts = "".join(
            f"{b}: ${{{a}}}${{{a}}}${{{a}}}\n"
            for a, b in zip("abcdefghijklmnopqrst", "bcdefghijklmnopqrstu", strict=True)
        )
        bombs = ("a: &a [x, x]\n" + aliases, "a: xxxxxxxxxx\n" + texts, "a: " + DEEP, "a: ${a}\n",
                 "a: !!python/object/apply:os.system [touch evil]\n", "{a: 1}", "- 1\n", "5",
                 "a: 2026-11-27\n", "? [1, 2]\n: 3\n", "a: ${oc.env:HOME}\n", "\tx: 1", "a: ???\n",
                 "a: &x {b: *x}\n", f"a: {'9' * 5000}\n")  # fmt: skip
        whole = file.read_text(encoding="utf-8") if random.random() < 0.7 else ""
        file.write_text(whole + "\n" + random.choice(bombs), encoding="utf-8")
        return
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for _ in range(random.randint(1, 4)):
        group = random.choice(["word_vectors", "backbone", "projection", "index", "spaces", "ks"])
        content[group] = _mutated(content[group], random)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")


def _files(run: Path, random: random.Random) -> None:
    """A file that is missing, empty, a folder, a pipe, a device or a link to itself."""
    file = _any_file(run, random)
    file.unlink()
    kind = random.randrange(6)
    if kind == 0:
        file.touch()
    elif kind == 1:
        file.mkdir()
    elif kind == 2:
        os.mkfifo(file)
    elif kind == 3:
        file.symlink_to("/dev/zero")
    elif kind == 4:
        file.symlink_to(file.name)
    _sign_again(file)


def _sign_again(file: Path) -> None:
    if file.is_file():
        _sign(file)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil",)


def _checkpoint(run: Path, random: random.Random) -> None:
    import torch

    file = run / "checkpoints/best.ckpt"
    content = torch.load(file, weights_only=True)
    state = content["state_dict"]
    name = random.choice(sorted(state))
    kind = random.randrange(7)
    if kind == 0:
        state[name] = state[name] * float("nan")
    elif kind == 1:
        state[name] = state[name][:-1]
    elif kind == 2:
        state[name] = random.choice([None, 3, "x", [1], torch.zeros(()), torch.zeros(2, 2)])
    elif kind == 3:
        del state[name]
    elif kind == 4:
        content["state_dict"] = random.choice([[], None, {1: 2}, {}])
    elif kind == 5:
        content = {"state_dict": state, "evil": _Evil()}
    else:
        state[name] = state[name].expand(10**7, *state[name].shape)
    stream = io.BytesIO()
    torch.save(content, stream)
    file.write_bytes(stream.getvalue())


def _report(run: Path, random: random.Random) -> None:
    texts = (">" * 50_000, "*" * 50_000, "[" * 50_000, "`" * 50_000, "\x1b[2J\u202e" * 1000,
             "- " * 20_000, "| a " * 20_000, "<script>" * 1000, "\x00" * 1000, "#" * 100_000,
             "![x](file:///etc/passwd)\n" * 1000, "[a](javascript:alert(1))\n")  # fmt: skip
    (run / "report.md").write_text(random.choice(texts), encoding="utf-8")


SORTS: dict[str, Callable[[Path, random.Random], None]] = {
    "bytes changed": _bytes,
    "values of JSON": _json,
    "arrays": _arrays,
    "claims of array headers": _claims,
    "config": _config,
    "files": _files,
    "values of JSON, again": _json,
    "checkpoint": _checkpoint,
    "report": _report,
    "arrays, again": _arrays,
}
