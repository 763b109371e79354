"""One servicer per service: parse, call the use case, render."""
