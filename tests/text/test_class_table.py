"""Tables of class vectors: every format gives the same rows; the real sentences of CUB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.xlsa17 import CLASSES, published_files
from scipy.io import savemat

from devise_exp.core.errors import InputError
from devise_exp.text.attributes import xlsa17_attributes
from devise_exp.text.class_table import class_table
from devise_exp.text.labels import class_vectors, resolve
from devise_exp.text.missing_words import MissingWordsError

NAMES = ["killer+whale", "okapi", "001.Black_footed_Albatross", "tench, Tinca tinca"]
VECTORS = np.array([[3.0, 4, 0], [1, 0, 0], [0, -2, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """The same table in every format: the path, and a file of names where it needs one."""
    root = tmp_path_factory.mktemp("tables")
    lines = [[f'"{n}"', *map(str, row)] for n, row in zip(NAMES, VECTORS.tolist(), strict=True)]
    (root / "plain.csv").write_text("\n".join(map(",".join, lines)))
    (root / "headed.csv").write_text("\n".join(map(",".join, [["class", "x", "y", "z"], *lines])))
    (root / "plain.tsv").write_text("\n".join(map("\t".join, lines)))
    np.savez(root / "two.npz", names=np.array(NAMES), att=VECTORS.astype(np.float32))
    np.savez_compressed(root / "packed.npz", classes=np.array(NAMES), vectors=VECTORS)
    np.savez(root / "keys.npz", **dict(zip(NAMES, VECTORS, strict=True)))  # type: ignore[arg-type]
    np.save(root / "rows.npy", VECTORS.astype(np.float16))
    (root / "names.txt").write_text("\n".join(NAMES))
    np.savez(root / "bare.npz", VECTORS)
    paths = {path.name: [path] for path in root.iterdir() if path.suffix != ".txt"}
    for name in ("rows.npy", "bare.npz"):
        paths[name].append(root / "names.txt")
    return paths


@pytest.mark.parametrize(
    "name",
    ["bare.npz", "headed.csv", "keys.npz", "packed.npz", "plain.csv", "plain.tsv", "rows.npy",
     "two.npz"],
)  # fmt: skip
def test_every_format_gives_the_same_unit_vectors(files: dict[str, list[Path]], name: str) -> None:
    table = class_table(*files[name])
    resolutions = resolve(["Killer_Whale", "okapi", "black footed albatross", "tench"], table)
    assert [r.rule for r in resolutions] == ["exact"] * 4
    expected = VECTORS / np.sqrt((VECTORS**2).sum(axis=1))[:, None]
    np.testing.assert_allclose(class_vectors(resolutions, table), expected, atol=1e-4)
    np.testing.assert_array_equal(table.vector("tinca tinca"), table.vector("tench"))
    with pytest.raises(MissingWordsError, match="1 of 2 classes have no word vector: 'okapy' "):
        resolve(["okapi", "okapy"], table)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("t.csv", b"okapi,1,2\nemu,1\n", "'emu' has 1 numbers, not 2"),
        ("t.csv", b"okapi,1,2\nemu,1,x\n", "'emu' has no numbers"),
        ("t.csv", b"a,b\n", "no line of a name and numbers"),
        ("t.csv", b"okapi\nemu\n", "no line of a name and numbers"),
        ("t.csv", b"okapi,0,0\n", "'okapi' is zero or not finite"),
        ("t.csv", b"okapi,nan,1\n", "'okapi' is zero or not finite"),
        ("t.csv", b"sea horse,1,2\nSea_horse,1,3\n", "several classes called 'sea horse'"),
        ("t.csv", b"\xff\xfe", "no table of class vectors"),
        ("t.npz", b"junk", "no table of class vectors"),
        ("t.npy", b"junk", "an .npy has no names: give word_vectors.names=FILE"),
        ("t.csv", None, "no such file"),
    ],
)
def test_what_is_no_table(tmp_path: Path, name: str, content: bytes | None, line: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=line) as caught:
        class_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_arrays_that_are_no_table(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("okapi\nemu\n")
    np.save(tmp_path / "three.npy", VECTORS[:3])
    with pytest.raises(InputError, match=r"2 names for an array of \(3, 3\)"):
        class_table(tmp_path / "three.npy", tmp_path / "names.txt")
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="no table of class vectors"):
        class_table(tmp_path / "objects.npy", tmp_path / "names.txt")
    np.savez(tmp_path / "both.npz", a=VECTORS, b=VECTORS)
    with pytest.raises(InputError, match="it holds a float64"):
        class_table(tmp_path / "both.npz")
    (tmp_path / "t.csv").write_text("okapi,1,2\n")
    with pytest.raises(InputError, match="a table has its own names"):
        class_table(tmp_path / "t.csv", tmp_path / "names.txt")


def test_sentences_of_cub_are_read_as_published(tmp_path: Path) -> None:
    """sent_splits.mat has the layout of att_splits.mat, and 1,024 numbers of sentences as att."""
    splits = published_files()[1]
    (tmp_path / "CUB").mkdir()
    sentences = np.random.default_rng(0).normal(size=(1024, len(CLASSES)))
    savemat(tmp_path / "CUB" / "sent_splits.mat", {**splits, "att": sentences}, do_compression=True)
    vectors = xlsa17_attributes(tmp_path, "CUB", "sent_splits.mat")
    assert (vectors.name, vectors.dim) == ("xlsa17_CUB_sent", 1024)
    row = sentences[:, CLASSES.index("killer+whale")]
    np.testing.assert_allclose(vectors.vector("killer whale"), row / np.linalg.norm(row), atol=1e-6)
    for file in ("../CUB/sent_splits.mat", "sent_splits"):
        with pytest.raises(InputError, match="give the name of a file in the folder of CUB"):
            xlsa17_attributes(tmp_path, "CUB", file)
    with pytest.raises(InputError, match=r"att_splits\.mat: no such file"):
        xlsa17_attributes(tmp_path, "CUB")
