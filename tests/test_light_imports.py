"""Imports that must stay light: what needs no torch does not wait for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helpers.images import draw
from helpers.paths import ROOT


def test_importing_what_needs_no_torch_is_light() -> None:
    light = [
        "core.errors", "core.files", "data.images", "data.dataset", "text.labels",
        "text.word_vectors", "evaluation.metrics.hits", "evaluation.image_retrieval",
        "runs.gallery", "search.saved_run", "pipelines.reevaluation", "search.query",
        "search.answers", "reports.contact_sheet", "ui.cli.main", "ui.python.calls",
        "ui.python.comparison", "ui.python.tagging", "pipelines.from_python",
    ]  # fmt: skip
    code = (
        f"import sys\nfor m in {light}: __import__(f'devise_exp.{{m}}')\n"
        "print([m for m in ('torch', 'torchvision', 'timm', 'gensim', 'wandb', 'nmslib', 'pyarrow',"
        " 'pandas', 'IPython')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


TREE = "train.py data=image_folder data.root=tree"
WRONG = {
    "train.py optimizer.lr=0": "optimizer.lr=0: give a number",
    "train.py data=image_folder data.root=nowhere": "nowhere does not exist",
    "train.py data=cifar100 data.root=nowhere": "cifar100: not found under nowhere",
    f"{TREE} word_vectors=glove word_vectors.path=words.txt": "'zzqx'",
    f"{TREE} word_vectors=random split=named split.unseen=[catt]": "no class catt",
    f"{TREE} word_vectors=random": "split random1 has 3 seen and 1 unseen classes, too few",
    "train.py resume=nowhere": "nowhere: not a run folder",
    "train.py hyperparameters_from=nowhere": "nowhere: not a run folder",
    "evaluate.py run_dir=nowhere": "nowhere: not a run folder",
    "-m devise_exp look data=image_folder data.root=nowhere": "nowhere does not exist",
    "-m devise_exp sweep study.trials=0": "study.trials=0: give a whole number",
}
HEAVY = {
    "torch", "torchvision", "pytorch_lightning", "lightning_fabric", "gensim", "timm", "wandb",
}  # fmt: skip


def test_wrong_input_is_told_without_torch(tmp_path: Path) -> None:
    """It takes most of the time of a start; -X importtime names every module on stderr."""
    for name in ("cat", "dog", "emu", "zzqx"):
        for i in range(4):
            draw(tmp_path / "tree" / name / f"{i}.png", (9, 99, 9), seed=i)
    (tmp_path / "words.txt").write_text("cat 1 2\ndog 2 1\nemu 3 4\n")
    started = {}
    for command in WRONG:
        script, *rest = command.split(" ")
        words = [script if script == "-m" else str(ROOT / script), *rest]
        started[command] = subprocess.Popen(
            [sys.executable, "-X", "importtime", *words],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    for command, process in started.items():
        lines = process.communicate()[1].splitlines()
        (line,) = [line for line in lines if not line.startswith("import time:")]
        assert line.startswith("error: "), command
        assert WRONG[command] in line
        assert process.returncode == 2
        imported = {line.rpartition("|")[2].strip() for line in lines}
        assert "omegaconf" in imported
        assert imported.isdisjoint(HEAVY), command
    assert not list((tmp_path / "outputs").iterdir())


def test_a_worker_of_a_sweep_is_light() -> None:
    """torchvision, timm and Lightning would take its memory past 1 GiB."""
    code = (
        "import sys\nfrom devise_exp.pipelines.sweep import job, trial\n"
        "from devise_exp.features import efficientnet_lite\nefficientnet_lite(0).fingerprint\n"
        "print([m for m in ('pytorch_lightning', 'torchmetrics.metric', 'torchvision', 'timm',"
        " 'wandb', 'matplotlib', 'nmslib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_imports_of_its_libraries_what_it_uses() -> None:
    """torchmetrics would import all that follows, for seconds of a processor at every start."""
    code = (
        "import sys\nfrom devise_exp.training import lightning, module, callbacks\n"
        "import torchmetrics\n"
        "print([m for m in ('torchvision', 'transformers', 'scipy.signal')"
        " if m in sys.modules], torchmetrics.Metric.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] Metric"
