"""A finished run in loggers: its metrics in any, its files in W&B."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.records import flatten
from devise_exp.reports.hierarchical_rows import without_thin

# Folders that loggers and later questions write into a run folder.
_OF_OTHERS = {"wandb", "mlruns", "tensorboard", "csv", "evaluations", "searches", "galleries"}
_BEST = Path("checkpoints") / "best.ckpt"


def log_metrics(logger: Any, report: EvalReport) -> None:
    """Log all metrics of a finished run, by their names in metrics.json.

    Args:
        logger: Any logger of Lightning but W&B's, which `reports.wandb` serves; None if it has
            failed.
        report: The metrics of the run.
    """
    if logger is None:
        return
    values = flatten(without_thin(report.records))
    numbers = {key: v for key, v in values.items() if isinstance(v, int | float)}
    if type(logger).__name__ == "MLFlowLogger":  # to it a/b is a file, and cannot hold a/b/c
        numbers = {key.replace("/", "."): value for key, value in numbers.items()}
    logger.log_metrics(numbers)
    logger.save()


def log_artifacts(logger: Any, folder: Path) -> None:
    """Log the best checkpoint and the run folder as artifacts of W&B, online or offline.

    They are model-ID and run-ID, of the id of the W&B run. The files stay where they are until
    they are sent.

    Args:
        logger: Lightning's WandbLogger, None if it has failed.
        folder: The run folder.
    """
    if logger is None:
        return
    import wandb

    run = logger.experiment
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [path.relative_to(folder) for path in files]
    whole = [path for path in files if path.parts[0] not in _OF_OTHERS]
    for kind, paths in (("model", [_BEST]), ("run", whole)):
        artifact = wandb.Artifact(f"{kind}-{run.id}", type=kind)
        for path in paths:
            artifact.add_file(str(folder / path), name=path.as_posix(), policy="immutable")
        run.log_artifact(artifact)
