"""HTTP clients of strangers."""
