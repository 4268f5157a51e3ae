"""data=webdataset: shards as they are, damaged, and made to do harm."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.listed_images import CLASSES, draw_flat
from helpers.packed_images import add, write_shard
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.data.images import ImageFiles
from devise_exp.data.packed_files import image_exists, packed_path
from devise_exp.data.shards import webdataset

Rows = list[tuple[str, str]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    draw_flat(folder, 4)
    return folder


@pytest.fixture
def rows() -> Rows:
    return [(f"pictures/{i:03d} ü.png", CLASSES[i % 6]) for i in range(24)]


def refusal(root: Path | str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        webdataset(root, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


def test_images_are_those_that_were_packed(base: Path, rows: Rows, tmp_path: Path) -> None:
    write_shard(tmp_path / "s/train/a-000.tar", base, rows[:12])
    write_shard(tmp_path / "s/train/a-001.tar", base, rows[12:18])
    write_shard(tmp_path / "s/test/a-000.tar", base, rows[18:])
    (tmp_path / "s/classnames.txt").write_text("\n".join(CLASSES))
    data = webdataset(tmp_path / "s", parts="keep")
    assert data.classes == CLASSES
    assert data.parts is not None
    assert [data.parts.count(part) for part in ("train", "test")] == [18, 6]
    assert "ant/train/a-000.tar/000000.png" in data.rows
    assert data.about == ("webdataset: 3 shards, 24 samples", "webdataset: parts train 18, test 6")
    assert data.images is not None
    row = data.rows.index("bee/test/a-000.tar/000001.png")
    packed = np.asarray(data.images[row])
    assert np.array_equal(packed, np.asarray(Image.open(base / rows[19][0]).convert("RGB")))
    joined = webdataset(tmp_path / "s")
    assert joined.parts is None
    assert "split=official takes them" in joined.remarks[0]
    assert webdataset(f"{tmp_path}/s/train/a-{{000..001}}.tar", names=CLASSES).classes == CLASSES


@pytest.mark.parametrize("ending", ["txt", "json"])
def test_labels_by_name(base: Path, rows: Rows, tmp_path: Path, ending: str) -> None:
    shard = write_shard(tmp_path / "x.tar", base, rows, ending)
    assert webdataset(shard).classes == CLASSES
    if ending == "json":
        assert webdataset(shard, label="json.label").classes == CLASSES
        assert "no sample of 1 shards has an image and a label" in refusal(shard, label="json.no")


def test_numbers_without_names_are_one_line(base: Path, rows: Rows, tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "x.tar", base, rows)
    assert "labels are numbers (0, 1, 2 and 3 more)" in refusal(shard)
    assert "label 5 has no name" in refusal(shard, names=CLASSES[:5])


def test_a_shard_made_to_do_harm_writes_nothing(base: Path, rows: Rows, tmp_path: Path) -> None:
    image = (base / rows[0][0]).read_bytes()
    folder = tmp_path / "in"
    folder.mkdir()
    with tarfile.open(folder / "x.tar", "w") as archive:
        for name in ("../../out", "/etc/out", "./in", "a/../../b"):
            add(archive, f"{name}.png", image)
            add(archive, f"{name}.txt", b"ant")
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(base / rows[0][0])
        archive.addfile(link)
        add(archive, "link.txt", b"ant")
    data = webdataset(folder)
    written = [p for p in tmp_path.rglob("*") if tmp_path / "cache" not in p.parents]
    assert sorted(p.name for p in written if p.is_file()) == ["x.tar"]
    assert len(data.rows) == 4
    assert not any(".." in row for row in data.rows)
    assert data.images is not None
    assert {image.size for image in data.images} == {(40, 40)}
    assert data.skipped == ("x.tar/link: no image among txt",)


def test_damaged_shards(base: Path, rows: Rows, tmp_path: Path) -> None:
    good = write_shard(tmp_path / "s/a.tar", base, rows, "txt")
    content = good.read_bytes()
    (tmp_path / "s/b.tar").write_bytes(content[: len(content) // 2 + 100])
    (tmp_path / "s/c.tar").write_bytes(b"no archive" * 1000)
    data = webdataset(tmp_path / "s")
    assert 24 < len(data.rows) < 48
    assert [note.split(":")[0] for note in data.skipped][-2:] == ["b.tar", "c.tar"]
    assert "2 samples are damaged" in refusal(tmp_path / "s", strict=True)
    assert "no sample of 1 shards" in refusal(tmp_path / "s/c.tar")
    forged = bytearray(content)
    with tarfile.open(tmp_path / "s/d.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "a" * 3_000_000 + ".png", b"x")  # a name of 3 MB
    del forged
    assert "a header of" in webdataset(tmp_path / "s").skipped[-1]


def test_what_are_no_shards_is_one_line(tmp_path: Path) -> None:
    assert "holds no .tar files" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "none.tar")
    assert "read from a disk" in refusal("https://example.org/{000..002}.tar")
    assert "read from a disk" in refusal("pipe:touch x")
    (tmp_path / "a.tar.gz").write_bytes(b"x")
    assert "a.tar.gz is compressed" in refusal(tmp_path)


def test_a_path_into_a_shard(base: Path, rows: Rows, tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "my.tar/x.tar", base, rows, "txt")  # a folder called so
    data = webdataset(shard)
    assert isinstance(data.images, ImageFiles)
    path = data.images.paths[0]
    inside = packed_path(path)
    assert inside is not None
    assert inside[0] == str(shard)
    assert inside[1].endswith("/000000.png")
    assert image_exists(path)
    assert open_image(Path(path)).size == (40, 40)
    with pytest.raises(InputError, match=r"says not where it is in x.tar"):
        open_image(shard / "none.png")
    with pytest.raises(InputError, match=r"changed since then|bad checksum|truncated"):
        open_image(shard / "99+40/none.png")
    assert not image_exists(tmp_path / "none.tar/a.png")
    shard.unlink()
    with pytest.raises(InputError, match="No such file"):
        open_image(Path(path))
