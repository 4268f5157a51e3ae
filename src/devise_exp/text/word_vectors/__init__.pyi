from .vectors import WordVectors as WordVectors
from .vectors import gensim_download as gensim_download
from .vectors import glove_6b_50d as glove_6b_50d
from .vectors import load_word_vectors as load_word_vectors
from .vectors import random_word_vectors as random_word_vectors
