"""The command line and the local page."""
