"""The command line, the local page, and what Python code and notebooks call."""
