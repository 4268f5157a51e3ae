"""Hyperparameter sweeps by Optuna."""
