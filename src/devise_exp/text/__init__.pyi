from .labels import Resolution as Resolution
from .labels import class_vectors as class_vectors
from .labels import resolve as resolve
from .sentence_vectors import sentence_minilm as sentence_minilm
from .text_vectors import SentenceVectors as SentenceVectors
from .word_vectors.loading import load_word_vectors as load_word_vectors
from .word_vectors.vectors import WordVectors as WordVectors
