"""faiss's indexes against exact search, and their files: read back, damaged, made up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.indexes import assert_same, clusters, gaussian

from devise_exp.core.errors import InputError
from devise_exp.core.files import checksum
from devise_exp.evaluation.metrics.retrieval import index_recall
from devise_exp.index import faiss_lists
from devise_exp.index.exact import ExactIndex
from devise_exp.index.faiss_engine import import_faiss
from devise_exp.index.faiss_index import KINDS, FaissIndex
from devise_exp.index.faiss_lists import padded
from devise_exp.index.saved import load

IVF: dict[str, Any] = {"kind": "ivf_pq", "lists": 40, "probes": 12, "code_bytes": 3, "refine": 60}
HNSW: dict[str, Any] = {"kind": "hnsw", "m": 4, "ef_construction": 20, "ef_search": 10}


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    return clusters(12_000, 8, 0.3).astype(np.float32)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return clusters(12_100, 8, 0.3)[-100:].astype(np.float32)


@pytest.fixture(scope="module")
def ivf(many: np.ndarray) -> FaissIndex:
    return FaissIndex(many, **IVF)


@pytest.mark.parametrize("kind", KINDS)
def test_label_sets_have_the_exact_neighbours(kind: str) -> None:
    for vectors in (gaussian(25, 50), gaussian(1500, 50), clusters(1000, 300, 0.02)):
        queries = np.concatenate([gaussian(20, vectors.shape[1], seed=1), vectors[:20] + 1e-3])
        index = FaissIndex(vectors, kind=kind)
        assert_same(index.search(queries, 20), ExactIndex(vectors).search(queries, 20))


def test_compressed_vectors_are_ranked_again_by_the_true_ones(
    many: np.ndarray, queries: np.ndarray, ivf: FaissIndex
) -> None:
    true, cosines = ExactIndex(many).search(queries, 10)
    ids, similarities = ivf.search(queries, 10)
    assert index_recall(ids, true) >= 0.95
    _, raw = ivf._engine.search(padded(ExactIndex(queries).vectors, ivf._engine.d), 10)
    assert index_recall(raw, true) < 0.8  # the codes alone do not know them
    same = ids == true
    np.testing.assert_array_equal(similarities[same], cosines[same])
    assert (np.diff(similarities, axis=1) <= 0).all()


def test_more_probes_and_more_refinement_find_more(many: np.ndarray, queries: np.ndarray) -> None:
    true, _ = ExactIndex(many).search(queries, 10)
    settings = ((1, 1), (1, 60), (40, 400))
    recalls = [
        index_recall(
            FaissIndex(many, **IVF | {"probes": p, "refine": r}).search(queries, 10)[0], true
        )
        for p, r in settings
    ]
    assert recalls[0] < recalls[1] < recalls[2]
    assert recalls[2] > 0.99


def test_the_lists_on_disk_are_those_of_faiss_in_memory(
    many: np.ndarray, queries: np.ndarray, ivf: FaissIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    faiss, engine = import_faiss(), ivf._engine
    memory = faiss.IndexIVFPQ(
        engine.quantizer, engine.d, engine.nlist, engine.code_size, 8, faiss.METRIC_INNER_PRODUCT
    )
    faiss.copy_array_to_vector(faiss.vector_to_array(engine.pq.centroids), memory.pq.centroids)
    memory.is_trained = True
    memory.add(padded(ivf.vectors, engine.d))
    memory.nprobe = engine.nprobe = 7
    unit = padded(ExactIndex(queries).vectors, engine.d)
    for one, other in zip(memory.search(unit, 30), engine.search(unit, 30), strict=True):
        np.testing.assert_array_equal(one, other)
    assert type(faiss.downcast_InvertedLists(engine.invlists)) is faiss.OnDiskInvertedLists
    monkeypatch.setattr(faiss_lists, "ROWS_AT_ONCE", 1700)  # blocks that end anywhere
    assert_same(FaissIndex(many, **IVF).search(queries, 9), ivf.search(queries, 9))


@pytest.mark.parametrize("options", [{"kind": "flat"}, HNSW, IVF], ids=lambda o: o["kind"])
def test_save_and_load_give_the_same_answers(
    options: dict[str, Any], many: np.ndarray, queries: np.ndarray, tmp_path: Path
) -> None:
    index = FaissIndex(many, **options)
    answer = index.search(queries, 5)
    index.save(tmp_path / "one")
    loaded = load(tmp_path / "one")
    assert type(loaded) is FaissIndex
    assert isinstance(loaded.vectors, np.memmap)  # they stay on disk
    assert_same(loaded.search(queries, 5), answer)
    loaded.save(tmp_path / "one")  # in place
    load(tmp_path / "one").save(tmp_path / "two")
    assert_same(load(tmp_path / "two").search(queries, 5), answer)
    if options != {"kind": "flat"}:
        assert (answer[0] != ExactIndex(many).search(queries, 5)[0]).any()  # the settings show


def test_few_vectors_are_saved_and_loaded_as_flat(tmp_path: Path) -> None:
    FaissIndex(gaussian(300, 8), **IVF).save(tmp_path / "index")
    assert sorted(p.name for p in (tmp_path / "index").iterdir()) == ["meta.json", "vectors.npy"]
    answer = load(tmp_path / "index").search(gaussian(5, 8, 1), 300)
    assert_same(answer, ExactIndex(gaussian(300, 8)).search(gaussian(5, 8, 1), 300))


@pytest.mark.parametrize("options", [HNSW, IVF], ids=lambda o: o["kind"])
def test_a_build_in_a_new_process_is_quiet_and_the_same(
    options: dict[str, Any], many: np.ndarray, queries: np.ndarray, tmp_path: Path
) -> None:
    np.savez(tmp_path / "arrays.npz", many=many, queries=queries)
    code = (
        "import numpy as np, sys, torch\n"  # torch brings another OpenMP
        "from devise_exp.index import FaissIndex\n"
        "arrays = np.load(sys.argv[1])\n"
        f"index = FaissIndex(arrays['many'], **{options!r})\n"
        "ids, _ = index.search(arrays['queries'], 5)\n"
        "torch.ones(500, 500) @ torch.ones(500, 500)\n"
        "np.save(sys.argv[2], ids)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "arrays.npz"), str(tmp_path / "ids.npy")]
    done = subprocess.run(command, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    ids, _ = FaissIndex(many, **options).search(queries, 5)
    np.testing.assert_array_equal(np.load(tmp_path / "ids.npy"), ids)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "lsh"}, {"m": 1}, {"ef_construction": 0}, {"ef_search": 0}, {"lists": 0},
        {"probes": 0}, {"code_bytes": 4}, {"sample": 9983}, {"refine": True},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_settings_are_named(wrong: dict[str, Any]) -> None:
    [(key, value)] = wrong.items()
    with pytest.raises(InputError, match=f"index.{key} .*{value}.*(set|use)"):
        FaissIndex(gaussian(5, 3), **wrong)


def test_without_the_package_the_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r"extra faiss .*pip install 'devise-exp\[faiss\]', or "):
        FaissIndex(gaussian(5, 3))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.fixture(scope="module")
def saved(many: np.ndarray, ivf: FaissIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    ivf.save(folder / "ivf_pq")
    FaissIndex(many[:500], **HNSW).save(folder / "hnsw")
    return folder


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


FILES = [("hnsw", "links.npz"), ("ivf_pq", "codes.npz"), ("ivf_pq", "lists.bin")]


@pytest.mark.parametrize("harm", [cut, flip, Path.unlink], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize(("kind", "file"), FILES)
def test_a_harmed_file_is_one_line(
    kind: str, file: str, harm: Callable[[Path], None], saved: Path, tmp_path: Path
) -> None:
    folder = copy_of(saved / kind, tmp_path / "index")
    harm(folder / file)
    with pytest.raises(InputError, match=f"cannot be read .*{file}.*train the run again"):
        load(folder)


def rewritten(folder: Path, file: str, **changed: Any) -> None:
    """Put other arrays into a file, with the checksum that fits."""
    arrays = dict(np.load(folder / file))
    for key, change in changed.items():
        arrays[key] = change(arrays[key].copy())
    np.savez(folder / file, **{key: array for key, array in arrays.items() if array is not None})
    meta = json.loads((folder / "meta.json").read_text())
    meta["checksums"][file] = checksum(folder / file)
    (folder / "meta.json").write_text(json.dumps(meta))


def put(position: Any, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[position] = value
        return array

    return change


MADE_UP: list[tuple[str, str, dict[str, Any]]] = [
    ("hnsw", "links.npz", {"links": put(3, 500)}),
    ("hnsw", "links.npz", {"links": put(3, -2)}),
    ("hnsw", "links.npz", {"links": lambda a: a[:-1]}),
    ("hnsw", "links.npz", {"links": lambda a: a.astype(np.int64)}),
    ("hnsw", "links.npz", {"levels": put(0, 50)}),
    ("hnsw", "links.npz", {"levels": lambda a: a[:-1]}),
    ("hnsw", "links.npz", {"start": put(0, 500)}),
    ("hnsw", "links.npz", {"start": lambda _: None}),
    ("ivf_pq", "codes.npz", {"sizes": put(0, -1)}),
    ("ivf_pq", "codes.npz", {"sizes": lambda a: a + 1}),
    ("ivf_pq", "codes.npz", {"sizes": put(slice(0, 2), 2**62)}),
    ("ivf_pq", "codes.npz", {"sizes": lambda a: a[:-1]}),
    ("ivf_pq", "codes.npz", {"centroids": put((0, 0), np.nan)}),
    ("ivf_pq", "codes.npz", {"centroids": lambda a: a[:, :-1]}),
    ("ivf_pq", "codes.npz", {"codebook": lambda a: a[:, :255]}),
    ("ivf_pq", "codes.npz", {"codebook": lambda a: a[:2]}),
    ("ivf_pq", "codes.npz", {"codebook": lambda a: a.astype(np.float64)}),
    ("ivf_pq", "codes.npz", {"codebook": lambda _: None}),
]


@pytest.mark.parametrize("case", range(len(MADE_UP)))
def test_arrays_that_somebody_made_up_are_one_line(case: int, saved: Path, tmp_path: Path) -> None:
    kind, file, changed = MADE_UP[case]
    folder = copy_of(saved / kind, tmp_path / "index")
    rewritten(folder, file, **changed)
    with pytest.raises(InputError, match="cannot be read") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_link_to_a_vector_below_its_level_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = copy_of(saved / "hnsw", tmp_path / "index")
    levels = np.load(folder / "links.npz")["levels"]
    high, low = int(np.argmax(levels)), int(np.argmin(levels))
    first = int(np.cumsum(4 + 4 * levels)[high - 1]) if high else 0  # 2m links, then m a level
    rewritten(folder, "links.npz", links=put(first + 8, low))
    with pytest.raises(InputError, match="not on their level"):
        load(folder)


def test_ids_in_the_lists_that_are_no_rows_are_never_looked_up(
    many: np.ndarray, queries: np.ndarray, saved: Path, tmp_path: Path
) -> None:
    folder = copy_of(saved / "ivf_pq", tmp_path / "index")
    (folder / "lists.bin").write_bytes(b"\x7f" * (folder / "lists.bin").stat().st_size)
    meta = json.loads((folder / "meta.json").read_text())
    meta["checksums"]["lists.bin"] = checksum(folder / "lists.bin")
    (folder / "meta.json").write_text(json.dumps(meta))
    answer = load(folder).search(queries, 5)  # every query is searched exactly
    assert_same(answer, ExactIndex(many).search(queries, 5))


def test_a_file_named_outside_the_folder_is_not_read(saved: Path, tmp_path: Path) -> None:
    folder = copy_of(saved / "hnsw", tmp_path / "index")
    meta = json.loads((folder / "meta.json").read_text())
    meta["checksums"]["../secret"] = "0"
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="no name of a file"):
        load(folder)


def test_vectors_on_disk_are_not_copied(many: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ExactIndex(many).vectors)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert ExactIndex(rows).vectors is rows
    np.save(tmp_path / "raw.npy", many)  # of any length: copied to unit rows
    raw = np.load(tmp_path / "raw.npy", mmap_mode="r")
    np.testing.assert_array_equal(ExactIndex(raw).vectors, rows)
    bad = np.array(rows)
    bad[7_000] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    with pytest.raises(InputError, match="row 7000 of the candidate vectors"):
        ExactIndex(np.load(tmp_path / "bad.npy", mmap_mode="r"))
