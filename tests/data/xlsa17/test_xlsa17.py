"""The published benchmark: small files of exactly its format, through whole runs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig
from scipy.io import loadmat, savemat

from devise_exp.core.errors import InputError, user_message
from devise_exp.data.xlsa17 import dataset, matlab
from devise_exp.data.xlsa17 import files as files_module
from devise_exp.data.xlsa17.files import PARTS
from devise_exp.evaluation import leakage, published_results
from devise_exp.evaluation.kinds import imagenet1k_kinds
from devise_exp.features.backbones import published
from devise_exp.features.bank import feature_bank
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.pipelines import reevaluation, run
from devise_exp.pipelines.prepare import ExperimentData, prepare
from devise_exp.runs.folder import RunFolder
from devise_exp.text import attributes

Config = Callable[..., DictConfig]
Arrays = dict[str, Any]
# In the files' own order, which is not the alphabet's.
CLASSES = ("zebra", "killer+whale", "001.Black_footed_Albatross", "sheep", "access_road", "bobcat")
UNSEEN = ("sheep", "001.Black_footed_Albatross")
PER_CLASS = 12
N = len(CLASSES) * PER_CLASS


def cells(texts: list[str]) -> np.ndarray:
    """A MATLAB cell array (n, 1) of texts."""
    made = np.empty((len(texts), 1), object)
    made[:, 0] = texts
    return made


def column(places: list[int]) -> np.ndarray:
    return np.array(places, float)[:, None]


def published_files() -> tuple[Arrays, Arrays]:
    """The arrays of res101.mat and att_splits.mat; rows of all classes are mixed."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), PER_CLASS))
    centres = np.maximum(rng.normal(size=(len(CLASSES), 2048)), 0)
    features = centres[labels] + 0.4 * rng.random((N, 2048))
    files = [
        f"/BS/elsewhere/JPEGImages/{CLASSES[c]}/{CLASSES[c]}_{i // 2:05d}.jpg"  # each name twice
        for i, c in enumerate(labels)
    ]
    seen = [i for i in range(N) if CLASSES[labels[i]] not in UNSEEN]
    order = {c: [i for i in seen if labels[i] == c] for c in range(len(CLASSES))}
    test = sorted(i for own in order.values() for i in own[-3:])
    att = rng.random((7, len(CLASSES)))
    return {
        "features": features.T,
        "labels": column([c + 1 for c in labels]),
        "image_files": cells(files),
    }, {
        "allclasses_names": cells(list(CLASSES)),
        "att": att / np.linalg.norm(att, axis=0),
        "original_att": 100 * att,
        "trainval_loc": column([i + 1 for i in seen if i not in test]),
        "test_seen_loc": column([i + 1 for i in test]),
        "test_unseen_loc": column([i + 1 for i in range(N) if i not in seen]),
        # As published: test rows of its classes too.
        "val_loc": column([i + 1 for i in order[CLASSES.index("bobcat")]]),
    }


def write(root: Path, bank: Arrays, splits: Arrays) -> Path:
    (root / "AWA2").mkdir(parents=True)
    savemat(root / "AWA2" / "res101.mat", bank, do_compression=True)
    savemat(root / "AWA2" / "att_splits.mat", splits)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("xlsa17"), *published_files())


@pytest.fixture(scope="module")
def small(composed: Config, root: Path) -> Config:
    def make(*overrides: str) -> DictConfig:
        return composed(
            "data=xlsa17", f"data.root={root}", "data.name=AWA2", "projection.hidden=32",
            "optimizer.lr=0.01", "trainer.max_epochs=8", "training.batch_size=16", "logger=none",
            "report=none",
            *overrides,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def prepared(small: Config) -> ExperimentData:
    return prepare(small())


@pytest.fixture(scope="module")
def trained(small: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, run.train(small(), folder)


def unit(name: str) -> np.ndarray:
    """The attributes of a class as the file has them."""
    att: np.ndarray = published_files()[1]["att"][:, CLASSES.index(name)]
    return att


# What the files say


def test_rows_labels_and_features_are_those_of_the_file(prepared: ExperimentData) -> None:
    bank, _ = published_files()
    data = prepared.dataset
    assert data.classes == tuple(sorted(CLASSES))
    own = [CLASSES[int(label) - 1] for label in bank["labels"].ravel()]
    assert [data.classes[label] for label in data.labels] == own
    for i, row in enumerate(data.rows):
        file = Path(bank["image_files"][i, 0]).name
        assert row in (f"{own[i]}/{file}", f"{own[i]}/{file} 2")
    assert sum(row.endswith(" 2") for row in data.rows) > 0
    features = feature_bank(prepared.whole, prepared.backbone).features
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, bank["features"].T, rtol=1e-3, atol=1e-3)


def test_class_vectors_are_the_attributes(prepared: ExperimentData) -> None:
    assert [r.rule for r in prepared.resolutions] == ["exact"] * len(CLASSES)
    for resolution, vector in zip(prepared.resolutions, prepared.class_vectors, strict=True):
        np.testing.assert_allclose(vector, unit(resolution.name), atol=1e-6)
    vocabulary = prepared.vocabulary
    assert set(vocabulary.words) == {
        "zebra", "killer whale", "black footed albatross", "sheep", "access road", "bobcat"
    }  # fmt: skip
    np.testing.assert_allclose(vocabulary.vector("killer whale"), unit("killer+whale"), atol=1e-6)
    assert vocabulary.near_spellings("bobcats") == ["bobcat"]


def test_the_split_is_the_published_one_but_for_validation(prepared: ExperimentData) -> None:
    _, stated = published_files()
    split = prepared.split
    places = {key: set((stated[key].ravel() - 1).astype(int)) for key in PARTS}
    assert set(split.test) == places["test_seen_loc"]
    assert set(split.unseen_rows) == places["test_unseen_loc"]
    assert set(split.train) | set(split.val) == places["trainval_loc"]
    assert {split.classes[c] for c in split.unseen} == set(UNSEEN)
    validated = prepared.class_ids[split.val]
    assert sorted(validated) == sorted(split.seen)  # a tenth of nine: one of each seen class
    assert split.name == "xlsa17_AWA2"


def test_validation_rows_go_by_the_seed(small: Config, prepared: ExperimentData) -> None:
    again, other = prepare(small()).split, prepare(small("split.seed=1")).split
    assert again.fingerprint == prepared.split.fingerprint != other.fingerprint
    np.testing.assert_array_equal(again.val, prepared.split.val)
    assert set(other.test) == set(again.test)
    half = prepare(small("split.val_share=0.5")).split
    assert len(half.val) == 4 * len(half.seen)  # round(4.5)


def test_the_listing_is_read_once_and_again_when_a_file_changes(tmp_path: Path) -> None:
    bank, stated = published_files()
    write(tmp_path, bank, stated)
    first = files_module.read_listing(tmp_path, "AWA2")
    assert files_module.read_listing(tmp_path, "AWA2") is first
    bank["image_files"][0, 0] = "/elsewhere/another_name.jpg"
    savemat(tmp_path / "AWA2" / "res101.mat", bank, do_compression=True)
    assert files_module.read_listing(tmp_path, "AWA2").rows[0].endswith("/another_name.jpg")


@pytest.mark.parametrize("below", ["data", "xlsa17/data"])
def test_the_published_archive_may_be_given_as_unpacked(tmp_path: Path, below: str) -> None:
    write(tmp_path / below, *published_files())
    assert len(dataset.xlsa17_dataset(tmp_path, "AWA2").rows) == N


def test_another_content_is_another_data_set(tmp_path: Path, prepared: ExperimentData) -> None:
    bank, splits = published_files()
    bank["features"][0, 0] += 1
    found = dataset.xlsa17_dataset(write(tmp_path, bank, splits), "AWA2")
    assert found.rows == prepared.dataset.rows
    assert found.fingerprint != prepared.dataset.fingerprint


def test_the_audit_knows_the_published_names() -> None:
    categories = published.res101().categories
    names = dict.fromkeys(("killer+whale", "001.Black_footed_Albatross", "blue+whale"), "")
    found = leakage.audit(names, categories, imagenet1k_kinds())
    assert found.checked_by == ("words", "kinds")
    relations = {(overlap.name, overlap.relation, overlap.category) for overlap in found.overlaps}
    assert ("killer+whale", "is", "killer whale") in relations
    assert ("001.Black_footed_Albatross", "is a kind of", "albatross") in relations
    assert "blue+whale" not in found.overlapping


# Whole runs


def test_a_run_trains_and_its_class_means_are_right(
    trained: tuple[Path, dict[str, Any]], composed: Config
) -> None:
    folder, values = trained
    bank, stated = published_files()
    saved = RunFolder.existing(folder)
    assert saved.about()["leak/unseen_leaked"] == 2  # ImageNet has albatrosses and rams
    model = saved.embedded("devise")
    names = [entry.name for entry in saved.classes()]
    both = np.stack([unit(name) for name in names])
    seen = [c for c, name in enumerate(names) if name not in UNSEEN]
    unseen = [c for c, name in enumerate(names) if name in UNSEEN]
    figures = {}
    for key, images, loc, candidates in (
        ("seen", model.seen.vectors, "test_seen_loc", seen),
        ("unseen", model.unseen.vectors, "test_unseen_loc", unseen),
        ("all_seen", model.seen.vectors, "test_seen_loc", seen + unseen),
        ("all_unseen", model.unseen.vectors, "test_unseen_loc", seen + unseen),
    ):
        right: dict[str, list[bool]] = {}
        for place, image in zip(stated[loc].ravel(), images, strict=True):
            truth = CLASSES[int(bank["labels"][int(place) - 1, 0]) - 1]
            best = max(candidates, key=lambda c: float(image @ both[c]))
            right.setdefault(truth, []).append(names[best] == truth)
        shares = [sum(own) / len(own) for own in right.values()]
        figures[key] = sum(shares) / len(shares)
        assert values[f"{key}/hit@1/class_mean"] == pytest.approx(figures[key])
    u, s = figures["all_unseen"], figures["all_seen"]
    assert values["all/H@1"] == pytest.approx(2 * u * s / (u + s) if u + s else 0)
    assert values["seen/hit@1"] > 2 * values["method/chance/seen/hit@1"]  # it has learnt something
    again = reevaluation.evaluate(composed(f"run_dir={folder}", name="evaluate"))
    assert again == {n: v for n, v in values.items() if n not in ("val/hit@1", "epoch")}


def test_a_subset_keeps_its_parts_and_loses_the_published_row(small: Config) -> None:
    data = prepare(small("subset.limit_per_class=10"))
    full = files_module.read_listing(small().data.root, "AWA2")
    assert len(data.dataset.rows) == 10 * len(CLASSES)
    tested = {data.dataset.rows[i] for i in data.split.test}
    assert tested < {full.rows[i] for i in full.parts[1]}
    assert published_results.published(data.split.name) == ()
    with pytest.raises(InputError, match=r"too few of its rows of .*limit_per_class=null"):
        prepare(small("subset.limit_per_class=1"))


def test_other_word_vectors_and_splits_can_be_chosen(small: Config) -> None:
    data = prepare(small("word_vectors=random", "split=random", "split.n_unseen=2"))
    assert (data.vocabulary.name, data.split.name) == ("random", "random2")
    assert len(data.split.test) == 4 * 2  # a fifth of twelve


def test_what_belongs_to_the_benchmark_alone_says_so(
    small: Config, composed: Config, root: Path, image_tree: Path, tmp_path: Path
) -> None:
    def refused(config: DictConfig) -> str:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - Hydra wraps ours
            run.train(config, tmp_path / "refused")
        line = user_message(caught.value)
        assert line is not None
        assert "\n" not in line
        assert not (tmp_path / "refused").exists()
        return line

    pictures = (
        "data=image_folder", f"data.root={image_tree}", "logger=none", "report=none",
        "features.num_workers=0",
        "word_vectors=random",
    )  # fmt: skip
    other = small("backbone=resnet18", "backbone.weights=null")
    assert "choose backbone=xlsa17_res101" in refused(other)
    assert "was not published" in refused(composed(*pictures, "backbone=xlsa17_res101"))
    assert "has no network to train" in refused(small("backbone.trainable=true"))
    split = ("split=xlsa17", f"split.root={root}", "split.name=AWA2")
    assert "belongs to data=xlsa17" in refused(composed(*pictures, *split))
    assert "is seen and unseen" in refused(small("++labels.merges.sheep=zebra"))
    assert "choose among SUN" in refused(small("data.name=../AWA2"))
    assert "data.name is needed" in refused(
        composed("data=xlsa17", f"data.root={root}", "logger=none", "report=none")
    )


def test_features_that_half_precision_cannot_hold(tmp_path: Path) -> None:
    bank, splits = published_files()
    bank["features"][5, 7] = 70_000
    data = dataset.xlsa17_dataset(write(tmp_path, bank, splits), "AWA2")
    with pytest.raises(InputError, match=r"float16 cannot hold.*float32"):
        feature_bank(data, published.res101())
    whole = feature_bank(data, published.res101(), ExtractionSettings(dtype="float32")).features
    assert whole[7, 5] == 70_000


# What is refused


def nan_at(array: np.ndarray) -> np.ndarray:
    array[2, 0] = np.nan
    return array


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("features", lambda a: a.T, r"features is 72 x 2048, not 2048 x any"),
        ("features", lambda a: a[:, :-1], r"72 labels for 71 columns"),
        ("features", lambda a: a.astype(complex) + 1j, r"features is complex numbers, not real"),
        ("features", nan_at, r"values that float16 cannot hold"),
        ("features", lambda a: cells(["x"]), r"features is cells, not real"),
        ("labels", lambda a: a - 1, r"labels has 0, which is none of the classes 1 to 6"),
        ("labels", lambda a: a + 0.5, r"labels has .*5, which is none"),
        ("labels", lambda a: np.hstack([a, a]), r"labels is no single row or column"),
        ("labels", lambda a: np.full_like(a, 1.0), r"class 'zebra' stands in test_seen_loc|both|in "
         r"trainval_loc and in test_unseen_loc"),
        ("image_files", lambda a: a[:-1], r"71 image_files for 72 columns"),
        ("image_files", lambda a: np.zeros((3, 1)), r"image_files is numbers of 3 x 1, not cells"),
        ("image_files", lambda a: cells([f"\x1b]0;{t}" for t in a[:, 0]]), r"1 is not one line"),
        ("allclasses_names", lambda a: cells(["zebra", *a[1:-1, 0], "zebra"]), r"more than one 'z"),
        ("allclasses_names", lambda a: cells(["a/b", *a[1:, 0]]), r"a / or comma in 'a/b'"),
        ("allclasses_names", lambda a: cells(["", *a[1:, 0]]), r"allclasses_names 1 is not one"),
        ("allclasses_names", lambda a: cells(["killer_whale", *a[1:, 0]]), r"several classes call"),
        ("att", lambda a: a[:, :-1], r"att is 7 x 5, not any x 6"),
        ("att", lambda a: a * (np.arange(6) != 3), r"class 'sheep' are all zero or not finite"),
        ("att", nan_at, r"class 'zebra' are all zero or not finite"),
        ("trainval_loc", lambda a: np.vstack([a, a[:1]]), r"row \d+ stands more than once"),
        ("trainval_loc", lambda a: a + N, r"none of the rows 1 to 72"),
        ("test_seen_loc", lambda a: a[:1], r"in one of trainval_loc and test_seen_loc only"),
        ("test_unseen_loc", lambda a: a[:0], r"test_unseen_loc is 0 x 1"),
        ("test_unseen_loc", lambda a: a[:1], r"class '.*' stands in no part"),
        ("val_loc", lambda a: published_files()[1]["test_unseen_loc"], r"in val_loc but not in tr"),
        ("val_loc", None, r"holds no val_loc \(it has 'allclasses_names', 'att'"),
    ],
)  # fmt: skip
def test_files_of_another_form_are_refused(
    tmp_path: Path, key: str, change: Callable[[np.ndarray], np.ndarray] | None, message: str
) -> None:
    files = published_files()
    arrays = next(each for each in files if key in each)
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    place = write(tmp_path, *files)

    def read() -> None:
        attributes.xlsa17_attributes(place, "AWA2")
        feature_bank(dataset.xlsa17_dataset(place, "AWA2"), published.res101())

    with pytest.raises(InputError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"damaged, or not of MATLAB"),
        (b"a text" * 100, r"damaged, or not of MATLAB"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF" + bytes(600), r"7\.3.*-v7"),
        (None, r"att_splits.mat: no such file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = write(tmp_path, *published_files()) / "AWA2" / "att_splits.mat"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        attributes.xlsa17_attributes(tmp_path, "AWA2")


def element(kind: int, content: bytes) -> bytes:
    """An element of a MATLAB file; up to four bytes stand within its tag, as MATLAB has them."""
    if 0 < len(content) <= 4:
        return struct.pack("<HH", kind, len(content)) + content.ljust(4, b"\0")
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def array(name: str, kind: int, shape: tuple[int, int], content: bytes) -> bytes:
    flags, dimensions = struct.pack("<II", kind, 0), struct.pack("<ii", *shape)
    return element(
        14, element(6, flags) + element(5, dimensions) + element(1, name.encode()) + content
    )


def test_numbers_and_texts_as_matlab_stores_them(tmp_path: Path) -> None:
    """Unlike scipy it keeps whole doubles as small integers, and texts of two bytes a letter."""
    words = ("antelope", "grizzly+bear", "ox", "na\u00efve")
    cell = [array("", 4, (1, len(w)), element(4, w.encode("utf-16-le"))) for w in words]
    stored = (
        array("n", 6, (3, 1), element(2, bytes([1, 50, 200]))),
        array("allclasses_names", 1, (4, 1), b"".join(cell)),
        array("x", 6, (2, 3), element(9, np.arange(6.0).tobytes())),
    )
    packed = [zlib.compress(each) for each in stored]
    file = tmp_path / "of_matlab.mat"
    file.write_bytes(
        b"MATLAB 5.0 MAT-file".ljust(124)
        + b"\0\1IM"
        + b"".join(struct.pack("<II", 15, len(each)) + each for each in packed)
    )
    assert matlab.numbers(file, "n", (None, 1)).ravel().tolist() == [1, 50, 200]
    assert matlab.texts(file, "allclasses_names") == words
    np.testing.assert_array_equal(matlab.numbers(file, "x", (2, None)), [[0, 2, 4], [1, 3, 5]])
    assert np.array_equal(loadmat(file)["x"], [[0, 2, 4], [1, 3, 5]])  # the file is a true one
    assert matlab.shape(file, "x", (2, None)) == (2, 3)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_an_error_and_never_a_crash(root: Path, data: st.DataObject) -> None:
    whole = (root / "AWA2" / "att_splits.mat").read_bytes()
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(whole)) | st.just(len(whole)))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "damaged.mat"
        file.write_bytes(damaged[:kept])
        for read in (
            lambda: matlab.texts(file, "allclasses_names"),
            lambda: matlab.numbers(file, "test_unseen_loc", (None, 1)),
        ):
            with suppress(InputError):
                assert len(read()) > 0


def test_a_flipped_bit_of_a_packed_array_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.mat"
    savemat(file, {"a": np.random.default_rng(0).random((50, 50))}, do_compression=True)
    damaged = bytearray(file.read_bytes())
    damaged[-40] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(InputError, match=r"a\.mat: damaged"):
        matlab.numbers(file, "a", (50, 50))


def test_texts_are_unpacked_with_work_that_grows_as_the_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte goes to zlib a few times at most, however many small texts there are."""
    rng = np.random.default_rng(0)
    names = [f"{number:x}" for number in rng.integers(1 << 60, size=5000).tolist()]
    file = tmp_path / "names.mat"
    savemat(file, {"names": cells(names)}, do_compression=True)
    given: list[int] = []
    real = zlib.decompressobj

    class Counted:
        def __init__(self) -> None:
            self.own = real()

        def decompress(self, content: bytes, most: int) -> bytes:
            given.append(len(content))
            return self.own.decompress(content, most)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.own, name)

    monkeypatch.setattr(matlab.zlib, "decompressobj", Counted)
    assert matlab.texts(file, "names") == tuple(names)
    assert file.stat().st_size - 200 < sum(given) < 10 * file.stat().st_size


def test_too_much_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "names.mat"
    savemat(file, {"names": cells(["four", "more"])})
    assert matlab.texts(file, "names") == ("four", "more")
    monkeypatch.setattr(matlab, "MOST_TEXT", 7)
    with pytest.raises(InputError, match=r"names holds more than 7 bytes of text") as caught:
        matlab.texts(file, "names")
    assert str(file) in str(caught.value)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, *published_files()) / "AWA2" / "res101.mat"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"res101.mat: (damaged|holds no)"):
        dataset.xlsa17_dataset(tmp_path, "AWA2")


def test_a_claim_of_too_many_numbers_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large.mat"
    savemat(file, {"a": np.zeros((2048, 300))})
    monkeypatch.setattr(matlab, "MOST_NUMBERS", 2048 * 299)
    with pytest.raises(InputError, match=r"no more than 612,352 numbers"):
        matlab.shape(file, "a", (2048, None))


def test_a_missing_folder_names_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder CUB in it: .*CUB/res101\.mat"):
        dataset.xlsa17_dataset(tmp_path, "CUB")
