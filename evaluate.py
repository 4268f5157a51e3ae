"""Evaluate a finished run again from its folder: python evaluate.py run_dir=outputs/latest."""

import hydra
from omegaconf import DictConfig

from devise_exp.core.command import command


@command
@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> dict[str, float]:
    """Returns the figures by name."""
    from devise_exp.pipelines import reevaluation  # late: a mistyped option need not wait for numpy

    return reevaluation.evaluate(config)


if __name__ == "__main__":
    main()
