"""The server process: start, serve, drain, stop."""
