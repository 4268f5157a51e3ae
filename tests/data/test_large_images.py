"""Large photographs are read at a reduced size, bombs are refused, and memory is bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.images import bomb, noise_image
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import decode, open_image
from devise_exp.data.folders import image_folder

# Reads a file with so many MB of address space above what the imports took.
READ = """
import resource, sys
from pathlib import Path
from PIL import Image
from devise_exp.data.decoding import decode
Image.init()
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
image = decode(Path(sys.argv[1]).read_bytes())
print(image if isinstance(image, str) else image.size)
"""


def read_within(path: Path, megabytes: int) -> str:
    command = [sys.executable, "-c", READ, str(path), str(megabytes)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 108 megapixels."""
    path = tmp_path_factory.mktemp("large") / "photograph.jpg"
    large = Image.linear_gradient("L").resize((12032, 9024), Image.Resampling.NEAREST)
    large.save(path, quality=50)
    return path


def test_a_photograph_of_108_megapixels_is_read_at_half_its_size(photograph: Path) -> None:
    image = open_image(photograph)
    assert image.size == (6016, 4512)
    small = np.asarray(image.resize((1, 256)))[:, 0, 0].astype(int)
    assert np.abs(small - np.arange(256)).max() <= 2


def test_its_memory_is_bounded(photograph: Path) -> None:
    assert read_within(photograph, 400) == "(6016, 4512)"


def test_a_large_image_of_another_format_is_read_within_four_bytes_a_pixel(tmp_path: Path) -> None:
    Image.new("L", (14_000, 14_000), 90).save(tmp_path / "large.png", compress_level=1)
    assert read_within(tmp_path / "large.png", 196 * 4 + 300) == "(7000, 7000)"


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    bomb(tmp_path / "bomb.png")
    refused = "too large: over 268,435,456 pixels (data.max_pixels=268435456)"
    assert read_within(tmp_path / "bomb.png", 100) == refused


def test_an_image_in_an_icon_is_refused_by_its_real_size(tmp_path: Path) -> None:
    bomb(tmp_path / "bomb.png")
    content = (tmp_path / "bomb.png").read_bytes()
    icon = (
        b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + len(content).to_bytes(4, "little") + b"\x16\0\0\0"
    )
    (tmp_path / "bomb.ico").write_bytes(icon + content)
    assert read_within(tmp_path / "bomb.ico", 100).startswith("too large: over ")


def test_the_limit_is_an_option(tmp_path: Path) -> None:
    noise_image(tmp_path / "cat" / "large.png", size=(40, 30))
    noise_image(tmp_path / "cat" / "small.png", size=(30, 20))
    dataset = image_folder(tmp_path, max_pixels=1000)
    assert dataset.rows == ("cat/small.png",)
    reason = "cat/large.png: too large: over 1,000 pixels (data.max_pixels=1000)"
    assert reason in dataset.skipped
    whole = image_folder(tmp_path, max_pixels=1200)
    assert len(whole.rows) == 2
    assert whole.images is not None
    assert whole.images[0].size == whole.images[:][0].size == (40, 30)
    (tmp_path / "cat" / "small.png").write_bytes((tmp_path / "cat" / "large.png").read_bytes())
    assert dataset.images is not None
    with pytest.raises(InputError, match=r"too large: over 1,000 pixels"):
        dataset.images[0]


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "many"])
def test_a_limit_that_is_no_number_is_one_line(tmp_path: Path, value: int) -> None:
    noise_image(tmp_path / "cat" / "a.png")
    with pytest.raises(InputError, match=r"^data\.max_pixels=.*: give a whole number from 1 on$"):
        image_folder(tmp_path, max_pixels=value)


def test_formats_that_are_decoded_whole_may_have_a_third(tmp_path: Path) -> None:
    path = noise_image(tmp_path / "a.webp", size=(40, 30))
    reason = decode(path.read_bytes(), max_pixels=2400)
    assert reason == (
        "too large: over 800 pixels (data.max_pixels=2400, of which WEBP may have a third)"
    )
    assert isinstance(decode(path.read_bytes(), max_pixels=3600), Image.Image)


@pytest.mark.parametrize("size", [(65000, 1), (1, 65000)])
def test_an_extreme_image_is_read(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "line.png")
    assert read_within(tmp_path / "line.png", 100) == str(size)
