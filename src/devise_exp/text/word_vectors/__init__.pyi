from .arrays import word_vectors_of as word_vectors_of
from .gensim_data import gensim_download as gensim_download
from .loading import glove_6b_50d as glove_6b_50d
from .loading import load_word_vectors as load_word_vectors
from .vectors import WordVectors as WordVectors
from .vectors import random_word_vectors as random_word_vectors
