"""How many processes a trainer asks for."""

from __future__ import annotations

from typing import Any

import pytest

from devise_exp.core.errors import InputError
from devise_exp.training.distributed.ranks import processes_per_node


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("auto", 1), 1),
        (("auto", 2), 2),  # Lightning then takes ddp
        (("ddp", 2), 2),
        (("ddp", "3"), 3),
        (("ddp", [0, 2]), 2),
        (("ddp", "0,2,3"), 3),
        (("ddp", "1,"), 1),
        (("ddp_find_unused_parameters_true", 2), 2),
        (("auto", "auto", "cpu"), 1),
        (("ddp", -1, "cpu"), 1),
        (("ddp_spawn", 1), 1),
        (("fsdp", 1), 1),
    ],
)
def test_processes_of_a_machine(arguments: tuple[Any, ...], expected: int) -> None:
    assert processes_per_node(*arguments) == expected


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_notebook", "fsdp"])
def test_strategies_that_start_processes_otherwise_are_refused(strategy: str) -> None:
    with pytest.raises(InputError, match=f"trainer.strategy={strategy}: .* choose ddp"):
        processes_per_node(strategy, 2)
