"""Name an image by an exported model: python name_image.py IMAGE (onnxruntime, numpy, pillow)."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps


def pixels(image: Image.Image, how: dict[str, Any]) -> np.ndarray:
    """Bring an image to the size and the scale that the network takes.

    Args:
        image: Upright RGB.
        how: The section "preprocess" of export.json.

    Returns:
        (1, 3, crop, crop) float32.
    """
    height, width = how["resize"] if isinstance(how["resize"], list) else _sides(image, how)
    image = image.resize((width, height), Image.Resampling[how["interpolation"].upper()])
    crop = how["crop"]
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    cropped = image.crop((left, top, left + crop, top + crop))
    scaled = np.asarray(cropped, dtype=np.float32) / 255
    mean, std = (np.array(how[name], dtype=np.float32) for name in ("mean", "std"))
    normalized: np.ndarray = ((scaled - mean) / std).transpose(2, 0, 1)
    return normalized[None]


def _sides(image: Image.Image, how: dict[str, Any]) -> list[int]:
    """Height and width after the shorter side has become `resize`."""
    return [int(how["resize"] * side / min(image.size)) for side in image.size[::-1]]


if __name__ == "__main__":
    import onnxruntime

    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} IMAGE")
    try:
        image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        sys.exit(f"{sys.argv[1]}: no image that can be read ({error})")
    folder = Path(__file__).parent
    export = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    model = onnxruntime.InferenceSession(folder / "model.onnx")
    (vector,) = model.run(None, {"pixels": pixels(image, export["preprocess"])})[0]
    similarity = np.load(folder / "class_vectors.npy") @ vector
    ranked = similarity - (export["gamma"] or 0) * np.array(export["seen"])
    for i in np.argsort(-ranked, kind="stable")[:5]:
        print(f"{export['labels'][i]}\t{ranked[i]:.3f}")
