"""One verb per file, named like the RPC or the job that calls it."""
