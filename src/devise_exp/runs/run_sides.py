"""Which classes of a run are on which side, by which verdict, and what its methods made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.evaluation.protocols import MODEL, MethodOutput
from devise_exp.runs import files
from devise_exp.runs.contents import RunContents


@dataclass(frozen=True)
class RunSides(RunContents):
    """What the files of a run folder say together of its classes and methods."""

    def class_ids(self) -> tuple[np.ndarray, np.ndarray]:
        """List the classes of either side.

        Returns:
            Ids of the seen and of the unseen classes.
        """
        seen = np.array([record.seen for record in self.classes()], dtype=bool)
        return np.flatnonzero(seen), np.flatnonzero(~seen)

    def method_names(self) -> list[str]:
        """List the embedded methods.

        Returns:
            Their names, the trained model first.
        """
        return [MODEL, *(name for name in self.details().methods if name != MODEL)]

    def embeddings(self) -> list[MethodOutput]:
        """Read what every method makes of the evaluated images, which are the same for all.

        Returns:
            The outputs, that of the trained model first.

        Raises:
            InputError: If a file is not there or damaged, or is of other images.
        """
        outputs = [self.embedded(name) for name in self.method_names()]
        for output in outputs:
            with files.reading(self.path, f"embeddings/{output.name}.npz"):
                for part, images in output.parts.items():
                    if not np.array_equal(images.class_ids, outputs[0].parts[part].class_ids):
                        raise ValueError("of other images")
        return outputs

    def overlapping_ids(self) -> np.ndarray:
        """List the unseen classes that the pretraining knew.

        Returns:
            Their ids.
        """
        names = self.details().relations
        return np.array([i for i, c in enumerate(self.classes()) if c.name in names], dtype=int)

    def undecided_ids(self) -> np.ndarray:
        """List the unseen classes that may overlap with the pretraining, or are not identified.

        Returns:
            Their ids.
        """
        names = set(self.details().audit.undecided)
        return np.array([i for i, c in enumerate(self.classes()) if c.name in names], dtype=int)
