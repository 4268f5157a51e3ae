from __future__ import annotations

import logging
from pathlib import Path

import gensim.downloader
import pytest
from gensim.models import KeyedVectors
from helpers.word_vectors import WORDS, save

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import (
    gensim_download,
)


def test_gensim_names_use_the_data_folder(
    keyed: KeyedVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "data" / "glove-twitter-25"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('run')")
    save(keyed, "txt.gz", tmp_path).rename(folder / "glove-twitter-25.gz")
    ours = gensim_download("glove-twitter-25", limit=5)
    assert ours.name == "glove-twitter-25"
    assert list(ours.words) == WORDS[:5]


def test_gensim_download_without_network_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(gensim.downloader, "BASE_DIR", str(tmp_path / "data"))
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # nobody listens there
    for everywhere in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(everywhere, raising=False)
    with pytest.raises(InputError) as caught:
        gensim_download("glove-wiki-gigaword-100")
    message = str(caught.value)
    target = tmp_path / "data" / "glove-wiki-gigaword-100" / "glove-wiki-gigaword-100.gz"
    assert str(target) in message
    assert "word_vectors=glove_6b_50d" in message
    assert "\n" not in message
    assert not caplog.records  # gensim logs tracebacks, which Hydra prints
    assert not logging.getLogger("gensim.downloader").disabled
    with pytest.raises(InputError, match="known are glove-wiki-gigaword-50"):
        gensim_download("glove-wiki-gigaword-51")
