"""Tables of word vectors: GloVe, fastText and word2vec files to unit vectors on disk."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
