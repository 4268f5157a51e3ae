"""Ranks: the processes that train and extract together."""
