"""The parameters of lists and statements."""
