"""The only thing that runs commands: alone or many at once."""
