from .evaluation.leakage import audit as audit
from .pipelines.from_python import evaluate as evaluate
from .pipelines.from_python import open_run as open_run
from .pipelines.from_python import train as train
from .text.word_vectors.loading import load_word_vectors as load_word_vectors

__version__: str
