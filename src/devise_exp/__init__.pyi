from .core.errors import InputError as InputError
from .evaluation.leakage import audit as audit
from .text.word_vectors.loading import load_word_vectors as load_word_vectors
from .ui.python.calls import evaluate as evaluate
from .ui.python.calls import open_run as open_run
from .ui.python.calls import train as train
from .ui.python.comparison import compare as compare
from .ui.python.hub import open_hub_folder as open_hub_folder
from .ui.python.run import Run as Run

__version__: str
