"""The command line: run the whole service here, look into it, and ask it for things."""
