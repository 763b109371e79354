"""The scheduler process: APScheduler starts rounds, and the database decides which process does which work."""
