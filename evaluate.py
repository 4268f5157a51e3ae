"""Evaluate a finished run again from its folder: python evaluate.py run_dir=outputs/latest."""

from devise_exp.core.command import leave
from devise_exp.pipelines.commands import evaluate

if __name__ == "__main__":
    evaluate()
    leave()
