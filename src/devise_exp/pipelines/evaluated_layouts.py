"""Other images for a finished run in any layout: class folders, a table, shards, or a saved set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.file_names import system_devices
from devise_exp.data.folders import image_folder, read_tree
from devise_exp.data.hub_sets import SAVED, hugging_face
from devise_exp.data.image_tree import image_counts
from devise_exp.data.layout import find_parts, wrapper_of
from devise_exp.data.packed_files import TAR
from devise_exp.data.shards import webdataset
from devise_exp.data.table_files import SUFFIXES
from devise_exp.data.tables import image_table
from devise_exp.pipelines.settings import EvaluatedFolder
from devise_exp.runs.folder import RunFolder

_TAKEN = (
    "give a folder of class folders, a table of paths and labels (.csv, .tsv, .jsonl, .parquet, or "
    "a split list in .json), WebDataset shards (.tar) or a folder that save_to_disk wrote"
)


def read_layout(run: RunFolder, root: Path, options: EvaluatedFolder) -> ImageDataset:
    """Read images in the layout in which they lie; what the run's data config says of it holds.

    Args:
        run: The finished run.
        root: A folder, a table, a shard or a pattern of shards.
        options: How it is read.

    Returns:
        The images.

    Raises:
        InputError: If they cannot be read, or come in parts that are not to be joined.
    """
    config = run.config().get("data")
    plain: Any = OmegaConf.to_container(config) if isinstance(config, DictConfig) else {}
    target = str(plain.get("_target_")).rpartition(".")[2]
    if root.suffix.lower() in SUFFIXES and root.is_file():
        return _of_parts(_table(root, plain if target == "image_table" else {}), root, options)
    if root.suffix == TAR or (target == "webdataset" and _has_shards(root)):
        kept = _kept(plain, target, "webdataset", "image", "label", "names")
        return _of_parts(webdataset(root, parts="keep", name=root.stem, **kept), root, options)
    if any((root / file).is_file() for file in SAVED):
        kept = _kept(plain, target, "hugging_face", "image", "label", "names")
        return _of_parts(hugging_face(root, parts="keep", name=root.name, **kept), root, options)
    if root.is_file():
        raise InputError(f"data.root={root}: not a table or shard that is read here: {_TAKEN}")
    if not root.exists():
        raise InputError(f"data.root={root} does not exist: {_TAKEN}")
    return _folder(root, options)


def _table(root: Path, plain: Mapping[str, Any]) -> ImageDataset:
    """A table; the columns and the folder of the images are those of the run's table."""
    folder = plain.get("root")  # a run folder may be anybody's: only a text is a path
    columns = _kept(plain, "image_table", "image_table", "image", "label", "names")
    if not isinstance(folder, str) or not Path(folder).expanduser().is_dir():
        folder = None  # or of another machine
    return image_table(root, root=folder, parts="keep", name=root.stem, **columns)


def _kept(plain: Mapping[str, Any], target: str, function: str, *keys: str) -> dict[str, Any]:
    """The options of the run's data that hold for other data of the same layout, plain ones."""
    values = {key: plain.get(key) for key in keys} if target == function else {}
    return {
        key: value for key, value in values.items() if isinstance(value, str) or _is_names(value)
    }


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _has_shards(root: Path) -> bool:
    """Tell whether a folder holds shards, or folders of shards."""
    return any(next(root.glob(f"{above}*{TAR}"), None) for above in ("", "*/"))


def _of_parts(dataset: ImageDataset, root: Path, options: EvaluatedFolder) -> ImageDataset:
    """The images of one part, or of all of them together."""
    if options.levels is not None:
        raise InputError(f"data.levels={options.levels}: {root} has no folders of classes: omit it")
    parts = sorted({part for part in dataset.parts or () if part is not None})
    if len(parts) > 1 and options.parts is None:
        raise InputError(
            f"{root} holds images of several parts ({', '.join(parts)}): give those of one part "
            "alone, or evaluate them together (data.parts=join)"
        )
    return replace(dataset, parts=None, groups=None, remarks=())


def _folder(root: Path, options: EvaluatedFolder) -> ImageDataset:
    """Read a folder as data=image_folder does, with words that fit an evaluation."""
    name = root.resolve().name or "image_folder"
    try:
        return image_folder(root, name=name, levels=options.levels, parts=options.parts)
    except InputError:
        if options.parts is None and (parts := _parts_of(root)):
            raise InputError(
                f"{root} holds folders of a split ({listed(p.name for p in parts)}): give one of "
                f"them (data.root={parts[-1]}), or evaluate them together (data.parts=join)"
            ) from None
        raise


def _parts_of(root: Path) -> list[Path]:
    """List the folders such as train and test that hold class folders; none if there is one."""
    if not root.is_dir() or root.stat().st_dev in system_devices():
        return []
    counts = image_counts(read_tree(root)[0])
    counts.pop((), None)
    folders = find_parts(counts) if counts else None
    if folders is None or len(set(folders.parts.values())) == 1:
        return []
    above = wrapper_of(counts) if folders.level else ()
    return [root.joinpath(*above, name) for name in folders.names]
