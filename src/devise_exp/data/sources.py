"""Where a published dataset comes from, and what to say if its files are missing."""

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
    """A published dataset that a user must have.

    Attributes:
        name: The name of the dataset.
        layout: Where its files belong below data.root.
        source: The archive, and where its authors publish it.
        downloadable: Whether download=true can fetch it.
    """

    name: str
    layout: str
    source: str
    downloadable: bool = True

    def missing_error(self, root: Path, problem: str = "not found") -> InputError:
        """Make the error for missing files.

        Args:
            root: Where the files should be.
            problem: What is wrong there.

        Returns:
            The error, to be raised.
        """
        ask = ", or give data.download=true" if self.downloadable else ""
        return InputError(
            f"{self.name}: {problem} under {root}: expected {root / self.layout}; "
            f"get {self.source}{ask}"
        )

    def check_folder(self, root: Path, download: bool) -> None:
        """Check that the folder of the dataset is there, before torchvision is imported.

        Args:
            root: The folder that torchvision expects.
            download: Whether the dataset is fetched if it is not there.

        Raises:
            InputError: If it is not.
        """
        if not download and not (root / Path(self.layout).parts[0]).is_dir():
            raise self.missing_error(root)

    def open_dataset(
        self, kind: Callable[..., Any], root: Path, download: bool, **options: Any
    ) -> Any:
        """Open torchvision's dataset.

        Args:
            kind: The class of torchvision.datasets.
            root: The folder that torchvision expects.
            download: Whether to download the dataset first.
            **options: Further arguments of the class.

        Returns:
            The dataset.

        Raises:
            InputError: If there is nothing usable, or the download fails.
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
