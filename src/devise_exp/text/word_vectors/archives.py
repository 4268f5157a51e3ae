"""Which file in an archive of word vectors is the one to read."""

from __future__ import annotations

import re
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.text.word_vectors.unpacking import list_members

_ASIDE = re.compile(r"(^|/)(__MACOSX/|\.|(readme|licen[cs]e|copying|notice)\b)", re.IGNORECASE)
_VECTORS = re.compile(r"\.(txt|vec|bin|w2v|glove)(\.(gz|bz2|xz))?$", re.IGNORECASE)


def choose_member(file: Path) -> str:
    """Choose the only file of vectors in an archive.

    Args:
        file: Any file.

    Returns:
        Its name in the archive, "" if the file is no archive.

    Raises:
        InputError: The archive holds none or several, or is damaged.
    """
    members = list_members(file)
    if members is None:
        return ""
    if members and all(name.endswith(".npy") for name in members):
        raise InputError(
            f"{file}: these are arrays of numpy and not word vectors: give the text that they were "
            "made from, or word_vectors=class_table for a row per class"
        )
    candidates = [name for name in members if not _ASIDE.search(name)]
    for names in (candidates, [name for name in candidates if _VECTORS.search(name)]):
        if len(names) == 1:
            return names[0]
    if not candidates:
        raise InputError(f"{file}: the archive holds no file of word vectors")
    raise InputError(
        f"{file}: the archive holds {listed(candidates)}: name one of them, as "
        f"in word_vectors.path={file / candidates[0]}"
    )
