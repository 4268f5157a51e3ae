"""Train and evaluate one run: python train.py [group=option] [key=value] (README: Use)."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from devise_exp.pipelines.distributed_main import distributed_main


@distributed_main
@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float:
    """Returns the seen validation hit@1, what a sweep may maximise."""
    from devise_exp.pipelines.series import (
        train_series,  # late: a mistyped option need not wait for torch
    )

    folder = Path(HydraConfig.get().runtime.output_dir)
    return train_series(config, folder)["val/hit@1"]


if __name__ == "__main__":
    main()
