"""The command line: runs the service on this machine, and calls one anywhere."""
