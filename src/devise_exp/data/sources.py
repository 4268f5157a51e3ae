"""Where a published data set comes from, and what to say if its files are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tarfile import TarError
from typing import Any
from zipfile import BadZipFile

from devise_exp.core.errors import InputError

FAILED = (OSError, RuntimeError, ValueError, EOFError, HTTPException, TarError, BadZipFile)


@dataclass(frozen=True)
class DatasetSource:
    """What a person must have: layout below data.root, and where its authors publish it."""

    name: str
    layout: str
    source: str
    downloadable: bool = True

    def missing_error(self, root: Path, found: str = "not found") -> InputError:
        ask = ", or give data.download=true" if self.downloadable else ""
        return InputError(
            f"{self.name}: {found} under {root}: expected {root / self.layout}; "
            f"get {self.source}{ask}"
        )

    def open_dataset(
        self, kind: Callable[..., Any], root: Path, download: bool, **options: Any
    ) -> Any:
        """torchvision's dataset at `root`, downloaded first if asked for.

        Raises InputError naming the layout where nothing usable is there, and what to get where the
        download fails.
        """
        try:
            return kind(str(root), download=download, **options)
        except FAILED as error:
            if not download:
                raise self.missing_error(root, "not found or damaged") from error
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self.name}: the download failed ({reason}): get {self.source} by other means "
                f"and unpack it to {root / self.layout}"
            ) from error
