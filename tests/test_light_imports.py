"""Imports that must stay light: what needs no torch does not wait for it."""

from __future__ import annotations

import subprocess
import sys


def test_importing_what_needs_no_torch_is_light() -> None:
    light = [
        "core.errors", "core.files", "data.images", "data.dataset", "text.labels",
        "text.word_vectors", "evaluation.metrics.hits", "evaluation.image_retrieval",
        "runs.gallery", "search.saved_run", "pipelines.reevaluation", "search.query",
        "search.answers", "reports.contact_sheet", "ui.cli.main",
    ]  # fmt: skip
    code = (
        f"import sys\nfor m in {light}: __import__(f'devise_exp.{{m}}')\n"
        "print([m for m in ('torch', 'torchvision', 'timm', 'gensim', 'wandb', 'nmslib', 'pyarrow')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_worker_of_a_sweep_is_light() -> None:
    """torchvision, timm and Lightning would take its memory past 1 GiB."""
    code = (
        "import sys\nimport devise_exp.pipelines.sweep.worker\n"
        "from devise_exp.features import efficientnet_lite\nefficientnet_lite(0).fingerprint\n"
        "print([m for m in ('pytorch_lightning', 'torchmetrics', 'torchvision', 'timm', 'wandb',"
        " 'matplotlib', 'nmslib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
