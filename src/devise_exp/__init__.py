"""devise-exp: experiments in visual-semantic embedding (DeViSE, Frome et al. 2013)."""

__version__ = "0.1.0"
