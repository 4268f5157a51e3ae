"""The command line, devise-exp."""
