"""Short forms of options, written out for Hydra: a part of one's own, a key of the W&B logger."""

from __future__ import annotations

import re
from collections.abc import Sequence

from devise_exp.core.paths import CONF

NONE = "none"  # the option of a group that chooses nothing
OWN = "own"  # the option of a group that leaves _target_ to its user
_KEY = re.compile(r"(\+*)((\w+)(?:\.\w+)*)(?==)")
_NOTHING = re.compile(r"(\w+)=\[\s*\]")
_OF_WANDB = re.compile(r"(\+*)logger\.(?=(project|offline|group|tags|log_model)=)")


def long_forms(arguments: Sequence[str]) -> list[str]:
    """Write out the short forms of a command.

    `loss._target_=mymodule.loss` chooses loss=own beside it, so that no options of another loss
    stay, and takes any option that the function has, with or without Hydra's +.

    Args:
        arguments: Overrides and Hydra's own.

    Returns:
        The arguments as Hydra takes them.

    Example:
        >>> long_forms(["+loss._target_=mymodule.loss", "loss.margin=2"])
        ['loss=own', '++loss._target_=mymodule.loss', '++loss.margin=2']
        >>> long_forms(["loss=softmax", "loss._target_=mymodule.scaled_softmax"])
        ['loss=softmax', '++loss._target_=mymodule.scaled_softmax']
        >>> long_forms(["logger.offline=false", "--trust", "method=[]"])
        ['logger.wandb.offline=false', 'trust=true', 'method=none']
    """
    arguments = [_OF_WANDB.sub(r"\1logger.wandb.", argument) for argument in arguments]
    keys = [_KEY.match(argument) for argument in arguments]
    chosen = {key[2] for key in keys if key}
    parts = tuple(
        f"{key[2].removesuffix('_target_')}"
        for key in keys
        if key and key[2].endswith("._target_") and (CONF / key[3]).is_dir()
    )
    written: list[str] = []
    for argument, key in zip(arguments, keys, strict=True):
        if argument == "--trust":
            argument = "trust=true"
        nothing = _NOTHING.fullmatch(argument)
        if nothing and (CONF / nothing[1] / f"{NONE}.yaml").is_file():
            argument = f"{nothing[1]}={NONE}"
        if key and key[2].startswith(parts):
            group = key[2].removesuffix("._target_")
            if (CONF / group / f"{OWN}.yaml").is_file() and group not in chosen:
                written.append(f"{group}={OWN}")  # here, as Hydra wants its flags in one piece
                chosen.add(group)
            argument = f"++{argument[len(key[1]) :]}"
        written.append(argument)
    return written
