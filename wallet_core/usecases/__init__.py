"""Use cases: one file for each, named like the RPC or the job that calls it."""
