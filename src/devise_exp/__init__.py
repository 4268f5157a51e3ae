"""Experiments in visual-semantic embedding (DeViSE, Frome et al. 2013).

From a notebook (docs/how_to/python.md)::

    import devise_exp as de

    run = de.train("loss=cosine", seed=1)
    run.metrics["unseen/hit@1"]
    run.search("helicopter")
    de.open_run("outputs/latest").table()
"""

import lazy_loader

__version__ = "1.0.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
