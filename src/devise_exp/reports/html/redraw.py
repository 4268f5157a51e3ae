"""The command that measures other splits of the data of a run, and what it draws from."""

from __future__ import annotations

from markupsafe import Markup

from devise_exp.data.verdict_kinds import CLEAN, kind_of
from devise_exp.reports.html.run_command import train_command, without_split
from devise_exp.reports.html.shown_run import ShownRun

_SPLITS = 10
_FORGOTTEN = (
    " In place of OPTIONS, write the options of the command that made this run, without those that "
    "begin with split. If the command is lost, see config.yaml, which is at the end of this page."
)
# Options of a split that go on with another one, with their defaults.
_KEPT = {"val_share": 0.1, "test_share": 0.2, "n_seen": None, "train_per_class": None}


def redraw(run: ShownRun) -> list[str]:
    """Say how to measure other splits, and among how many classes theirs are drawn.

    Args:
        run: The run.

    Returns:
        Sentences; none of a run of which no classes are known.
    """
    unseen = [record for record in run.classes if not record.seen]
    if not unseen:
        return []
    clean = [record for record in run.classes if kind_of(record.verdict) == CLEAN]
    audited = all(record.verdict for record in run.classes)
    settings = run.results.settings
    asks_clean = settings.get("split") == "clean_split" or (
        audited and all(record in clean for record in unseen)
    )
    if asks_clean:
        name, among = "clean", f"the {len(clean)} of {len(run.classes)} classes that pass the check"
        n = len(clean)
    else:
        is_published = settings.get("split") == "folders_split"
        name = str(settings.get("split.name", "folders")) if is_published else "random"
        among, n = f"all {len(run.classes)} classes", len(run.classes)
    if settings.get("split.n_seen") is not None:
        among += " of this run, and those that split.n_seen leaves out"
    kept = [
        f"split.{key}={settings[f'split.{key}']}"
        for key, default in _KEPT.items()
        if settings.get(f"split.{key}", default) != default
        and not (name not in ("clean", "random") and key == "test_share")
    ]
    options = [f"split={name}", f"split.n_unseen={len(unseen)}", *kept, f"split_seeds={_SPLITS}"]
    ordered = run.command
    shown = train_command([*(without_split(ordered) if ordered else ["OPTIONS"]), *options])
    command = Markup("<code>{}</code>").format(shown)
    how = "" if ordered else _FORGOTTEN
    shared = (
        " As these are few, the splits share many of their unseen classes."
        if n < 2 * len(unseen)
        else ""
    )
    return [
        Markup("To measure it, run {}.{}").format(command, how),
        f"The command trains on ten splits. Each has {len(unseen)} unseen classes, drawn among "
        f"{among}.{shared} It prints the mean over the splits, the 95 % interval of the mean, and "
        "the range.",
    ]
