"""Class attributes of Xian et al. 2018 as word vectors."""

from __future__ import annotations

from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.data.xlsa17 import files
from devise_exp.data.xlsa17.files import SPLITS, dataset_title
from devise_exp.data.xlsa17.matlab import PUBLISHED
from devise_exp.text.class_table import named_vectors
from devise_exp.text.word_vectors.vectors import WordVectors


def xlsa17_attributes(root: str | Path, name: str, file: str = SPLITS) -> WordVectors:
    """Load the attributes of each class, D = A, as the unit vector of its name ("killer whale").

    In a config: `data=xlsa17 data.root=FOLDER data.name=AWA2`, which chooses
    `word_vectors=xlsa17_attributes`; CUB's sentences: `word_vectors.file=sent_splits.mat`.

    Args:
        root: The folder of the unpacked archive.
        name: The data set, such as AWA2.
        file: The file of the data set that has the vectors as att: att_splits.mat, or
            sent_splits.mat, which has those of sentences (Reed et al., CVPR 2016).

    Returns:
        Vectors of the class names, in lower case and without marks; no other word has one.

    Raises:
        InputError: A file is missing or damaged, two classes have one name, or a class has no
            attributes.
    """
    if Path(file).name != file or Path(file).suffix != ".mat":
        raise InputError(
            f"word_vectors.file={file}: give the name of a file in the folder of {name}, such as "
            f"{SPLITS} or sent_splits.mat"
        )
    classes, vectors = files.read_attributes(root, name, file)
    kind = "attributes" if file == SPLITS else Path(file).stem.removesuffix("_splits")
    where = f"{file} of {name}: allclasses_names"
    return named_vectors(f"{dataset_title(name)}_{kind}", where, classes, vectors, PUBLISHED)
