"""Commands that move money at once."""
