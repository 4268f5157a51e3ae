"""The local page of devise-exp app."""
