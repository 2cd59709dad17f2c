"""The libraries that `speed.py` compares, one file and one child process each."""
