"""The program devise-exp, which is python -m devise_exp too."""

import sys


def main() -> None:
    """Run the command that the arguments name, and end the program."""
    try:
        from devise_exp.core.command import leave
        from devise_exp.ui.cli.main import app

        app(prog_name="devise-exp")
    except KeyboardInterrupt:  # too early for the line of a command
        sys.exit(130)
    except SystemExit as ended:
        if not ended.code:
            leave(frames=2)
        raise


if __name__ == "__main__":
    main()
