"""A short run on some of the shipped features, and commands that ask it."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from devise_exp.ui.cli.main import app
from helpers.images import COLOURS, draw

SHORT = (
    "subset.limit_per_class=8", "projection=linear", "trainer.max_epochs=1", "logger=none",
    "method=none", "class_folds=0", "report=html",
)  # fmt: skip


def draw_photos(folder: Path) -> Path:
    """An image of each colour, 0.png and so on, in the folder."""
    for i, colour in enumerate(COLOURS.values()):
        draw(folder / f"{i}.png", colour, seed=i)
    return folder


def call(*arguments: object) -> str:
    """What devise-exp prints for these arguments, once it has ended well."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output
