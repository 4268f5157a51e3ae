"""Commands whose text may begin with a minus."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand


class QueryCommand(TyperCommand):
    """A command whose text may begin with a minus and is no option then: "-grass horse"."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move words that begin with a minus behind `--`.

        Args:
            ctx: The context of the command.
            args: The arguments.

        Returns:
            What the command leaves of them.
        """
        text = [arg for arg in args if re.match(r"-(?!-|k=?\d*$|\d+$).", arg)]
        if text and "--" not in args:
            args = [*(arg for arg in args if arg not in text), "--", *text]
        return super().parse_args(ctx, args)
