"""The program devise-exp, which is python -m devise_exp too."""

import sys


def main() -> None:
    """Run the command that the arguments name, and end the program."""
    try:
        from devise_exp.core.command import leave
        from devise_exp.ui.cli.main import app
    except KeyboardInterrupt:  # too early for a line of a command
        sys.exit(130)
    try:
        app(prog_name="devise-exp")
    except SystemExit as ended:
        if not ended.code:
            leave(frames=2)
        raise


if __name__ == "__main__":
    main()
