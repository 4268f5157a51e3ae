"""Whether the exported model of a run names images as torch does.

python experiments/export/top5.py RUN FOLDER [N]: exports the run, embeds N images (100) of FOLDER,
evenly spread, by torch (`devise-exp tag`) and by the exported script's preprocessing with
onnxruntime, and counts how many have the same five calibrated labels in the same order.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from onnxruntime import InferenceSession
from PIL import Image, ImageOps

from devise_exp.core.vectors import uncentre_rows
from devise_exp.data.folders import files_below
from devise_exp.data.images import ImageFiles
from devise_exp.pipelines.export.name_image import pixels
from devise_exp.pipelines.export.onnx_folder import export_onnx
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import tag_images


def main(run_folder: str, root: str, n: str = "100") -> None:
    """Compare both."""
    run, folder = Run.open(run_folder), Path(root)
    names = files_below(folder, [])
    rows = np.linspace(0, len(names) - 1, int(n)).astype(int)
    files = [folder / names[i] for i in rows]
    embedded = run.embed(ImageFiles(map(str, files)))["devise"]
    expected = [[name for name, _ in tags] for tags in tag_images(run, embedded, 5)]
    exact = uncentre_rows(embedded, run.centre)
    with TemporaryDirectory() as temporary:
        export = export_onnx(run, Path(temporary) / "export", 0)
        session = InferenceSession(Path(temporary) / "export" / "model.onnx")
        same, differences = 0, []
        for file, labels, vector in zip(files, expected, exact, strict=True):
            image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
            (row,) = session.run(None, {"pixels": pixels(image, export["preprocess"])})[0]
            differences.append(float(np.abs(row - vector).max()))
            ranked = run.labels @ row - (export["gamma"] or 0) * np.array(export["seen"])
            order = np.argsort(-ranked, kind="stable")[:5]
            same += [export["labels"][i] for i in order] == labels
    print(f"{same} of {len(files)} images have the same five labels in the same order")
    print(f"largest difference of a number of an embedding: {max(differences):.2g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
