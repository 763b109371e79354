"""How calls are received, run and counted."""
