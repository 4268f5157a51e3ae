"""The callbacks of a run's training: a user's beside this project's own."""

from __future__ import annotations

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback

from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.user_code import user_errors
from devise_exp.pipelines.option_errors import as_written, check_option
from devise_exp.pipelines.option_kinds import Switch
from devise_exp.training.lightning import OURS

_NOT_OF_THE_TRAINER = {
    "logger": "give loggers in their group, logger=[wandb,csv] or +logger.NAME._target_=...",
    "enable_checkpointing": "callbacks.checkpoints=false keeps no checkpoints",
    "use_distributed_sampler": "batches are dealt to the ranks already; leave it out",
}


def user_callbacks(config: DictConfig) -> tuple[Callback, ...]:
    """Build the callbacks of a config that are not this project's own.

    Args:
        config: Of train.py.

    Returns:
        The callbacks, new ones at each call.

    Raises:
        InputError: An entry is no callback, or cannot be built.
    """
    callbacks = []
    for key, node in (config.get("callbacks") or {}).items():
        name = f"callbacks.{key}"
        if key in OURS:
            check_option(name, node, Switch)
        elif OmegaConf.is_dict(node) and "_target_" in node:
            with as_input_error(name), user_errors(name, str(node._target_)):
                callback = instantiate(node)
            if not isinstance(callback, Callback):
                raise InputError(
                    f"{name}: {node._target_} gives a {type(callback).__name__}: give a callback "
                    "of pytorch_lightning"
                )
            callbacks.append(callback)
        elif node is not None:
            raise InputError(
                f"{name}={as_written(node)}: give a callback, +{name}._target_=mymodule.MyCallback"
            )
    return tuple(callbacks)


def check_trainer(config: DictConfig) -> None:
    """Check that the trainer is asked for nothing that another option decides.

    Args:
        config: Of train.py.

    Raises:
        InputError: It is; the message says by what option.
    """
    for key, remedy in _NOT_OF_THE_TRAINER.items():
        if key in config.trainer:
            raise InputError(f"trainer.{key}: {remedy}")
