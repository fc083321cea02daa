"""labelstream: the command line."""
