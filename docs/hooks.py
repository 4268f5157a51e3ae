"""Pages of the site that are made of other files: mkdocs calls on_files when it builds.

Options come from conf/, commands from the command line itself, results from experiments/, and the
changelog, rules and security notes from the top of the repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.main import get_command

from devise_exp.ui.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
# What an option of a group decides, and the page that explains the choice.
GROUPS = {
    "backbone": ("The pretrained network that turns an image into features.", "how_to/clip.md"),
    "callbacks": ("What else is done while a run trains.", "how_to/lightning.md"),
    "classifiers": (
        "The share of classifiers that are predicted from words.",
        "concepts/predicted_classifiers.md",
    ),
    "data": ("The images and their class names.", "how_to/data.md"),
    "executor": ("Where `devise-exp sweep` runs its trials.", "how_to/grids.md"),
    "experiment": ("Published systems, each a set of other options.", "results/index.md"),
    "index": ("How the nearest labels are found.", "results/speed.md"),
    "labels": ("Which words stand for a class: aliases and merges.", "how_to/word_vectors.md"),
    "logger": ("Where metrics are logged while a run trains.", "how_to/lightning.md"),
    "loss": ("The loss that trains the projection.", "results/comparisons.md"),
    "method": ("The baselines and controls beside the trained model.", "concepts/metrics.md"),
    "optimizer": ("The optimizer of the projection.", "results/training.md"),
    "prior": ("How the backbone's own classifier moves an embedding.", "concepts/prior.md"),
    "projection": ("The layers from features to the word space.", "results/comparisons.md"),
    "scheduler": ("The learning rate over the training.", "results/training.md"),
    "split": ("Which classes are unseen, and which images train.", "concepts/zero_shot.md"),
    "study": ("The search space of `devise-exp sweep`.", "how_to/grids.md"),
    "trainer": ("Devices, precision and the number of epochs.", "how_to/machines.md"),
    "word_vectors": ("The vectors that stand for class names.", "how_to/word_vectors.md"),
}
MAIN = {
    "config": "Every key of `train.py` outside the groups, with its default.",
    "evaluate": "Every key of `evaluate.py`, with its default.",
    "sweep": "Every key of `devise-exp sweep`, with its default.",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of other files (mkdocs' event of this name)."""
    for path, text in pages():
        files.append(File.generated(config, path, content=text))
    for image in sorted((ROOT / "experiments").glob("*/*.png")):
        target = f"results/{image.name}"
        files.append(File.generated(config, target, abs_src_path=str(image)))
    return files


def pages() -> Iterator[tuple[str, str]]:
    """Every made page: its path below docs/ and its Markdown."""
    yield "reference/options/index.md", option_index()
    for name, summary in MAIN.items():
        yield f"reference/options/{name}.md", main_config(name, summary)
    for group in sorted(path.name for path in CONF.iterdir() if path.is_dir()):
        yield f"reference/options/{page_of(group)}", option_group(group)
    yield "reference/cli.md", command_line()
    for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"):
        yield f"reference/{name.lower()}.md", relinked((ROOT / f"{name}.md").read_text("utf-8"))
    yield "tutorials/first_experiment.md", notebook(ROOT / "examples" / "notebook.ipynb")
    for readme in sorted((ROOT / "experiments").glob("*/README.md")):
        yield f"results/{readme.parent.name}.md", experiment(readme)


def relinked(text: str) -> str:
    """Links of a file at the top of the repository, as links of a page in reference/."""
    text = text.replace("](docs/reference/", "](").replace("](docs/", "](../")
    return re.sub(r"\]\((CHANGELOG|CONTRIBUTING|SECURITY)\.md", lambda m: m[0].lower(), text)


def page_of(group: str) -> str:
    """The file of a group; index.md is the page of the folder."""
    return f"{group}_group.md" if group == "index" else f"{group}.md"


def option_index() -> str:
    """All groups with their options."""
    lines = [
        "# Options",
        "",
        "Every option of a run is a key or a file under `conf/`. `GROUP=NAME` chooses a file,",
        "`KEY=VALUE` sets a key: `python train.py loss=hinge_rank loss.margin=0.2`. A key below a",
        "group is written `GROUP.KEY`. `python train.py --cfg job` prints the whole config.",
        "",
        *(f"- [`{name}.yaml`]({name}.md): {summary}" for name, summary in MAIN.items()),
        "",
        "| group | decides | options |",
        "| --- | --- | --- |",
    ]
    for group, (summary, _) in GROUPS.items():
        names = ", ".join(f"`{path.stem}`" for path in options(group))
        lines.append(f"| [`{group}`]({page_of(group)}) | {summary} | {names} |")
    return "\n".join(lines) + "\n"


def options(group: str) -> list[Path]:
    """The files of a group."""
    return sorted((CONF / group).glob("*.yaml"))


def main_config(name: str, summary: str) -> str:
    """The page of a config at the top of conf/."""
    return f"# {name}.yaml\n\n{summary}\n\n{yaml_block(CONF / f'{name}.yaml')}"


def option_group(group: str) -> str:
    """The page of a group: each option as its file has it."""
    summary, page = GROUPS[group]
    parts = [f"# {group}\n\n{summary} See [{title_of(page)}](../../{page}).\n"]
    for path in options(group):
        parts.append(f"## {group}={path.stem}\n\n{yaml_block(path)}")
    return "\n".join(parts)


def title_of(page: str) -> str:
    """The first heading of a page, or for one of experiments/ the name of its folder."""
    path = ROOT / "docs" / page
    if path.is_file():
        return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
    return f"experiments/{Path(page).stem}"


def yaml_block(path: Path) -> str:
    """A file of conf/ with its comments, without Hydra's own header."""
    text = path.read_text(encoding="utf-8").replace("# @package _global_\n", "")
    return f"```yaml\n{text.rstrip()}\n```\n"


def command_line() -> str:
    """The page of all commands, from the app itself."""
    group: Any = get_command(app)
    parts = ["# Command line\n\n`devise-exp COMMAND --help` shows the same in a terminal.\n"]
    for name, command in group.commands.items():
        parts.append(command_page(name, command, command.context_class(command, info_name=name)))
    return "\n".join(parts)


def command_page(name: str, command: Any, context: Any) -> str:
    """A command: what it does, its usage, its arguments and options."""
    is_of_hydra = bool(command.context_settings.get("ignore_unknown_options"))
    pieces = ["[OPTION=VALUE]..."] if is_of_hydra else command.collect_usage_pieces(context)
    usage = " ".join(pieces)
    help_text = as_markdown((command.help or "").strip())
    lines = [f"## devise-exp {name}", "", help_text, ""]
    lines += ["```", f"devise-exp {name} {usage}", "```", ""]
    lines += ["All options: [Options](options/index.md).", ""] * is_of_hydra
    rows = [parameter_row(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        lines += ["| | meaning | default |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(lines)


def parameter_row(parameter: Any) -> str:
    """A row of the table of a command."""
    is_option = parameter.param_type_name == "option"
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    if not is_option:
        names = f"`{parameter.metavar or parameter.name}`"
    default = parameter.default
    value = getattr(default, "value", default)
    is_shown = is_option and isinstance(value, str | int | Path) and value not in ("", False)
    shown = f"`{value}`" if is_shown else ""
    text = as_markdown(" ".join((parameter.help or "").split())).replace("|", "\\|")
    return f"| {names} | {text} | {shown} |"


def as_markdown(text: str) -> str:
    """A plain text, such that Markdown shows it as it is."""
    return escape(text, quote=False).replace("*", "\\*")


def notebook(path: Path) -> str:
    """A notebook as a page: text as it is, code as blocks."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        is_code = cell["cell_type"] == "code"
        parts.append(f"```python\n{source}\n```" if is_code else source)
    parts.insert(1, f"Run it as a notebook: `{path.relative_to(ROOT)}`, or copy the blocks.")
    return "\n\n".join(parts).replace("`docs/how_to/python.md`", "[Python](../how_to/python.md)")


def experiment(readme: Path) -> str:
    """A page of experiments/, under the name of its folder."""
    text = readme.read_text(encoding="utf-8")
    folder = readme.parent.relative_to(ROOT).as_posix()
    title, _, rest = text.partition("\n")
    return f"{title}\n\nScripts and raw results: `{folder}/`.\n{rest}"
