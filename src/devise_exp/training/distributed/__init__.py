"""Training and extraction by several processes: rank 0 leads, workers take part in its stages."""
