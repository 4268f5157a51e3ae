"""Data flows one way: who imports whom among the modules, read from their syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "devise_exp"
# The order of the README's list; a module may import those before it.
ORDER = [
    "errors", "storage", "composing", "centring", "pictures", "datasets", "published_datasets",
    "imagenet_datasets", "torchvision_datasets", "labels", "word_vector_store",
    "word_vector_files", "word_vector_binary", "word_vectors", "wordnet", "splits", "leaks",
    "senses", "sentence_encoder", "glosses", "sentence_vectors", "backbone", "timm_backbone",
    "mat_files", "xlsa17_files", "xlsa17", "engines", "extraction", "features", "pretraining",
    "ranks", "processes", "launchers", "projection", "losses", "task", "batches", "bank_training",
    "recipe", "checkpoint", "module", "training", "embeddings", "index_files",
    "exact_search", "index", "metrics", "intervals", "tradeoff", "rehearsals", "hierarchy",
    "protocols", "searches", "evaluation",
    "retrieval", "rankings", "diagnostics", "prepare", "baselines", "closed_form", "ale",
    "methods", "retrieval_report", "report", "run_folder", "gallery", "gallery_sync", "scores",
    "run_figures", "choices", "comparison", "comparison_text", "drawing", "plots",
    "report_sections", "confusion_pictures", "html_report", "wandb_log", "grid", "fitting",
    "stages", "followers", "checks", "run", "seeds", "study", "study_storage", "board", "trial",
    "sweep_worker", "sweep_report", "sweep", "encoder", "saved_run", "reevaluation", "query",
    "search", "contact_sheet", "look", "app_guard", "app", "cli_search", "cli_compare", "cli_look",
    "cli_sweep", "cli",
]  # fmt: skip
GROUND = {"errors", "storage"}
LEAVES = ("labels", "word_vectors", "backbone", "projection", "losses", "index", "metrics")
FAMILIES = {
    "word_vectors": {"word_vector_binary", "word_vector_files", "word_vector_store"},
    "index": {"exact_search", "index_files"},
}
MODULES = sorted(path.stem for path in SOURCE.glob("*.py") if path.stem != "__init__")


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((SOURCE / f"{module}.py").read_text(encoding="utf-8"))


def siblings(module: str) -> set[str]:
    """Modules of the package that `module` imports, anywhere in its text."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("devise_exp.")}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            first, *rest = node.module.split(".")
            if first == "devise_exp":
                found |= {rest[0]} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{module} imports relatively: {ast.unparse(node)}")
    return found


def test_every_module_has_its_place_in_the_order() -> None:
    assert set(MODULES) <= set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_comes_before_it(module: str) -> None:
    assert siblings(module) <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", LEAVES)
def test_a_leaf_imports_no_sibling(module: str) -> None:
    family = {module, *FAMILIES.get(module, ())}
    imported = set().union(*(siblings(member) for member in family))
    assert imported <= GROUND | family


def test_only_the_wiring_turns_config_into_objects() -> None:
    users = {
        module
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Name | ast.Attribute | ast.alias)
        and "instantiate" in ast.unparse(node).split(".")[-1].split(" ")
    }
    assert users == {
        "prepare", "recipe", "fitting", "checks", "run", "study", "trial", "encoder", "saved_run",
        "reevaluation",
    }  # fmt: skip


def test_importing_what_needs_no_torch_is_light() -> None:
    light = [
        "errors", "storage", "pictures", "datasets", "labels", "word_vectors", "metrics",
        "retrieval", "gallery", "saved_run", "reevaluation", "query", "search", "contact_sheet",
        "cli",
    ]  # fmt: skip
    code = (
        f"import sys\nfor m in {light}: __import__(f'devise_exp.{{m}}')\n"
        "print([m for m in ('torch', 'torchvision', 'timm', 'gensim', 'wandb', 'nmslib', 'pyarrow')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_worker_of_a_sweep_is_light() -> None:
    """torchvision, timm and Lightning would take its memory past 1 GiB."""
    code = (
        "import sys\nimport devise_exp.sweep_worker\n"
        "from devise_exp.backbone import efficientnet_lite\nefficientnet_lite(0).fingerprint\n"
        "print([m for m in ('pytorch_lightning', 'torchmetrics', 'torchvision', 'timm', 'wandb',"
        " 'matplotlib', 'nmslib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
