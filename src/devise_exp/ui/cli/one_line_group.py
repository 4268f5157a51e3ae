"""A wrong argument of any command as one line, where typer would draw a box."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperGroup

from devise_exp.core.command import NOT_PRINTED, WRONG_INPUT
from devise_exp.core.console import print_error
from devise_exp.core.streams import all_printed, lasting_streams


class OneLineGroup(TyperGroup):
    """The commands, whose usage errors are lines like all other errors."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and exit with its code.

        Args:
            *args: As typer passes them.
            **kwargs: As typer passes them.
        """
        kwargs["standalone_mode"] = False
        with lasting_streams():
            if "" in sys.argv[1:]:  # as a path it would be the working directory
                print_error("an argument is empty: give it a value, or leave it out")
                sys.exit(WRONG_INPUT)
            try:
                code = super().main(*args, **kwargs)
            except Exception as error:
                if not hasattr(error, "format_message"):  # typer's own kind of error
                    raise
                sys.exit(_refuse(error))
            if "--help" in sys.argv[1:] and not all_printed():
                sys.exit(NOT_PRINTED)
        sys.exit(code if isinstance(code, int) else 0)


def _refuse(error: Any) -> int:
    """Print what is wrong with the arguments; the exit code."""
    message = " ".join(error.format_message().split()).rstrip(".")
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return int(error.exit_code)
    path = error.ctx.command_path if getattr(error, "ctx", None) else "devise-exp"
    print_error(f"{message[:1].lower()}{message[1:]}: {path} --help lists what it takes")
    return int(error.exit_code)
