"""What Hydra writes beside a job: RUN/.hydra with the overrides of the command."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.files import write_text

FOLDER = ".hydra"


def keep_hydra_files(folder: Path, config: DictConfig) -> None:
    """Write the files of Hydra into a run folder, once it is clear that the run begins.

    Hydra itself would write them before anything is checked, and beside a run that goes on.

    Args:
        folder: The run folder, or that of a series; what is there stays.
        config: Of the run.
    """
    if not HydraConfig.initialized() or (folder / FOLDER).exists():
        return
    hydra = HydraConfig.get()
    write_text(folder / FOLDER / "overrides.yaml", OmegaConf.to_yaml(hydra.overrides.task))
    write_text(folder / FOLDER / "config.yaml", OmegaConf.to_yaml(config))
    whole = OmegaConf.create({"hydra": OmegaConf.to_container(hydra, resolve=False)})
    write_text(folder / FOLDER / "hydra.yaml", OmegaConf.to_yaml(whole))
