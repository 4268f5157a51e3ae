"""Evaluate a finished run again from its folder: python evaluate.py run_dir=outputs/latest."""

import sys

try:
    from devise_exp.core.command import leave
    from devise_exp.pipelines.commands import evaluate
except KeyboardInterrupt:  # too early for a line of the command
    sys.exit(130)

if __name__ == "__main__":
    evaluate()
    leave()
