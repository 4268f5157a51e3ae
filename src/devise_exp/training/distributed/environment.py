"""What torchrun or srun says of this process, in the environment variables that torch reads."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from devise_exp.core.errors import InputError

TORCH_VARIABLES = {
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE",
    "MASTER_ADDR", "MASTER_PORT",
}  # fmt: skip
_SLURM = {"SLURM_PROCID", "SLURM_STEP_NODELIST"}  # a batch script without srun has but one


def launcher_of(environment: Mapping[str, str]) -> tuple[str, int] | None:
    """Tell what has started this process.

    Args:
        environment: The environment variables.

    Returns:
        "torchrun" (or torch's launcher within this program) or "srun", and the number of processes;
        None if neither has started several.

    Raises:
        InputError: The number is missing or no number.
    """
    with_torch = environment.keys() >= TORCH_VARIABLES
    if not with_torch and not environment.keys() >= _SLURM:
        return None
    try:
        processes = int(environment["WORLD_SIZE" if with_torch else "SLURM_NTASKS"])
    except (KeyError, ValueError) as error:
        raise _incomplete(error) from error
    name = "torchrun" if with_torch else "srun"
    return (name, processes) if processes > 1 else None


def set_torch_variables(environment: MutableMapping[str, str]) -> None:
    """Say in torch's variables what Slurm's say; those of torchrun stay as they are.

    Lightning's SLURMEnvironment reads no step that states `--ntasks` alone, and counts ranks as
    Slurm deals them, which need not be node by node.

    Args:
        environment: The environment variables of one of several processes, changed in place.

    Raises:
        InputError: A variable is missing or no number, or nodes have unequal numbers of processes.
    """
    if environment.keys() >= TORCH_VARIABLES:
        return
    env = environment
    try:
        total, local = int(env["SLURM_NTASKS"]), int(env["SLURM_LOCALID"])
        nodes = int(env.get("SLURM_STEP_NUM_NODES") or env["SLURM_NNODES"])
        node = int(env["SLURM_NODEID"])
        port = 15000 + (16 * int(env["SLURM_JOB_ID"]) + int(env["SLURM_STEP_ID"])) % 16384
    except (KeyError, ValueError) as error:
        raise _incomplete(error) from error
    if total % nodes or "," in env.get("SLURM_STEP_TASKS_PER_NODE", ""):
        raise InputError(
            f"srun has started {total} processes, not as many on each of {nodes} nodes: ask for "
            "the same number everywhere"
        )
    first = SLURMEnvironment.resolve_root_node_address(env["SLURM_STEP_NODELIST"])
    variables = {
        "RANK": node * (total // nodes) + local,
        "WORLD_SIZE": total,
        "LOCAL_RANK": local,
        "LOCAL_WORLD_SIZE": total // nodes,
        "GROUP_RANK": node,
        "GROUP_WORLD_SIZE": nodes,
        "MASTER_ADDR": env.get("MASTER_ADDR") or first,
        "MASTER_PORT": env.get("MASTER_PORT") or port,  # of steps and jobs beside it: another
    }
    environment.update({name: str(value) for name, value in variables.items()})


def _incomplete(error: Exception) -> InputError:
    return InputError(
        f"the variables of torchrun or srun are not complete ({error}): start the program by one "
        "of them, or unset RANK and SLURM_PROCID"
    )
