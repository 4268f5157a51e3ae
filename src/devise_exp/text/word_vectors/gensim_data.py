"""Word vectors of the project gensim-data, by their name there."""

from __future__ import annotations

import logging
import os
import socket
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.loading import load_word_vectors
from devise_exp.text.word_vectors.vectors import WordVectors

GENSIM_NAMES = (
    *(f"glove-wiki-gigaword-{dim}" for dim in (50, 100, 200, 300)),
    *(f"glove-twitter-{dim}" for dim in (25, 50, 100, 200)),
    "fasttext-wiki-news-subwords-300",
    "word2vec-google-news-300",
)
_PATIENCE = 60.0  # seconds without a byte from the network


def gensim_download(name: str, limit: int | None = None) -> WordVectors:
    """Load vectors from gensim's data folder, and download them first if they are not there.

    In a config: `word_vectors=gensim word_vectors.name=glove-twitter-25`.

    Args:
        name: One of GENSIM_NAMES.
        limit: How many of the most frequent words to keep; None for all.

    Returns:
        The vectors, called `name`.

    Raises:
        InputError: The name is unknown, the download fails, or the file is damaged.
    """
    if name not in GENSIM_NAMES:
        raise InputError(f"word_vectors.name is {name!r}; known are {', '.join(GENSIM_NAMES)}")
    root = Path(os.environ.get("GENSIM_DATA_DIR", "~/gensim-data")).expanduser()
    target = root / name / f"{name}.gz"
    if not target.is_file():
        target = _download(name, target)
    vectors = load_word_vectors(target, limit)
    return WordVectors(name, vectors.fingerprint, vectors.table)


def _download(name: str, target: Path) -> Path:
    """Let gensim download a file; asked for the path alone, it runs none of the code beside it."""
    import gensim.downloader

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    log = logging.getLogger("gensim.downloader")
    was_off, log.disabled = log.disabled, True
    try:
        # Its tracebacks of a failed download, printed and logged, say less than the line below.
        with redirect_stdout(sys.stderr), redirect_stderr(StringIO()):
            return Path(gensim.downloader.load(name, return_path=True))
    except Exception as error:  # gensim raises a bare Exception for a wrong checksum
        raise InputError(
            f"cannot download {name} ({error}): put {target.name} from the releases of the GitHub "
            f"project gensim-data at {target}, or use word_vectors=glove_6b_50d, which is offline"
        ) from error
    finally:
        log.disabled = was_off
        socket.setdefaulttimeout(patience)
