"""A run as its page, figures and tables show it: each file read once, each figure drawn once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise_exp.core.console import printable
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.records import CHANCE, MetricName
from devise_exp.reports.comparison import Comparison, of_methods
from devise_exp.reports.figures import plots, style
from devise_exp.reports.figures.class_plot import class_plot
from devise_exp.reports.figures.plots import Curve
from devise_exp.reports.figures.style import Plot
from devise_exp.reports.run_tables import shown_rows
from devise_exp.reports.titles import protocol_title
from devise_exp.runs import files, results
from devise_exp.runs.checked import texts
from devise_exp.runs.class_records import ClassRecord
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.records import RunDetails
from devise_exp.runs.results import RunResults

if TYPE_CHECKING:
    from PIL.Image import Image

_CURVES = ("calibrated_seen", "calibrated_unseen", "seen", "unseen", "all_seen", "all_unseen")
_SIMILARITIES = ("seen", "unseen", "all_seen", "all_unseen")
_OVERRIDES = ".hydra/overrides.yaml"
reading = partial(
    files.reading, remedy="evaluate or train the run again", missing_ok=True
)  # content that a file may lack


@dataclass(frozen=True)
class ShownRun:
    """What the files of a run folder hold, every text printable; a file may be missing.

    Reading a damaged file raises InputError.

    Attributes:
        path: The run folder.
    """

    path: Path

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return RunFolder(self.path)

    @cached_property
    def results(self) -> RunResults:
        """Settings and metrics; their file must be there."""
        run = results.read(self.path)
        return replace(run, metrics=_printable(run.metrics))

    @cached_property
    def comparison(self) -> Comparison:
        """The methods side by side."""
        return of_methods([self.results])

    @cached_property
    def details(self) -> RunDetails:
        """What the metrics rest on."""
        if not (self.path / "about.json").is_file():
            return RunDetails(about={})
        return RunDetails.from_json(_printable(self.folder.details().to_json()))

    @cached_property
    def command(self) -> tuple[str, ...]:
        """The overrides of the command that made the run; () if Python made it, or an older one."""
        import yaml

        with reading(self.path, _OVERRIDES) as file:
            content = file.read_text(encoding="utf-8") if file.is_file() else "[]"
            try:
                return tuple(map(printable, texts(yaml.safe_load(content))))
            except yaml.YAMLError as error:
                raise ValueError(str(error)) from error

    @cached_property
    def classes(self) -> tuple[ClassRecord, ...]:
        """The classes."""
        if not (self.path / "classes.json").is_file():
            return ()
        records = [_printable(record.to_json()) for record in self.folder.classes()]
        return tuple(map(ClassRecord.from_json, records))

    @cached_property
    def senses(self) -> dict[str, str]:
        """Class -> where it stands in WordNet; empty if the run has no file that says so."""
        if not all((self.path / name).is_file() for name in ("classes.json", "about.json")):
            return {}
        notes = self.folder.sense_notes()
        return {printable(name): printable(note.text) for name, note in notes.items()}

    @cached_property
    def diagnostics(self) -> dict[str, Any]:
        """The content of diagnostics.json."""
        content: dict[str, Any] = _printable(self.folder.diagnostics())
        return content

    @cached_property
    def report(self) -> EvalReport:
        """The metrics, with the sizes of the protocols in results.csv and search.csv."""
        n: dict[str, tuple[int, int]] = {}
        with reading(self.path, "results.csv"):
            for row in files.read_rows(self.path, "results.csv"):
                n[row["protocol"]] = int(row["n_images"]), int(row["n_labels"])
        with reading(self.path, "search.csv"):
            for row in files.read_rows(self.path, "search.csv"):
                protocol = f"{row['task']}/{row['protocol']}"
                n[protocol] = int(row["n_queries"]), int(row["n_pictures"])
        return EvalReport(self.results.records, self.details.about, n)

    @cached_property
    def plots(self) -> dict[str, Plot]:
        """The figures that the files allow, by name."""
        drawn = [] if not self._panels else [plots.hit_curves(self._panels, self.results.methods)]
        with reading(self.path, "diagnostics.json"):
            drawn += self._diagnostic_plots()
        return {plot.name: plot for plot in drawn}

    @cached_property
    def narrow_plots(self) -> dict[str, Plot]:
        """Figures of several columns as one column, by the name of the wide figure."""
        if not self._panels:
            return {}
        return {"hit-curves": plots.hit_curves(self._panels, self.results.methods, columns=1)}

    @cached_property
    def images(self) -> dict[str, Image]:
        """The figures as images, by name."""
        return {name: style.to_image(plot) for name, plot in self.plots.items()}

    def keep_images(self, images: dict[str, Image]) -> None:
        """Take the images of the figures from another process, which has drawn them.

        Args:
            images: What `images` is there.
        """
        vars(self)["images"] = images

    @cached_property
    def _panels(self) -> Mapping[str, Mapping[str, Curve]]:
        """The curves of hit@k by the heading of the protocol and the method."""
        curves = {
            protocol: {
                row.method: {r.k or 0: (r.value, r.low, r.high) for r in row.records.values()}
                for row in rows
                if row.average == "class" or row.method == CHANCE  # whose averages are the same
            }
            for protocol, rows in shown_rows(self.report).items()
        }
        return {protocol_title(p): curves[p] for p in _CURVES if p in curves}

    def _diagnostic_plots(self) -> list[Plot]:
        """Draw the figures of diagnostics.json."""
        drawn = []
        if curves := self.diagnostics.get("tradeoff", {}):
            uncalibrated = {}
            for method in curves:
                names = [MetricName(f"all_{s}", "hit", 1, "class") for s in ("unseen", "seen")]
                unseen, seen = (self.results.value(method, name) for name in names)
                if unseen is not None and seen is not None:
                    uncalibrated[method] = (unseen, seen)
            drawn.append(plots.tradeoff(curves, uncalibrated, self.results.methods))
        if self.diagnostics.get("map", {}).get("classes"):
            drawn.append(class_plot(self.diagnostics["map"]))
        similarity = self.diagnostics.get("similarity", {})
        if panels := {protocol_title(p): similarity[p] for p in _SIMILARITIES if p in similarity}:
            drawn.append(plots.similarity(panels))
        return drawn


def _printable(value: Any) -> Any:
    """Make every text in a value of JSON printable."""
    if isinstance(value, dict):
        return {printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return printable(value) if isinstance(value, str) else value
