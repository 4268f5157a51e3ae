"""Experiments in visual-semantic embedding (DeViSE, Frome et al. 2013).

From a notebook::

    import devise_exp

    run = devise_exp.train("loss=cosine", "seed=1")
    devise_exp.evaluate(run)["unseen/hit@1"]
    devise_exp.open_run("outputs/latest").classes
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
