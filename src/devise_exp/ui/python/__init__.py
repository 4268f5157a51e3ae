"""The public face from Python, such as a notebook: runs, metrics, answers that show themselves."""
