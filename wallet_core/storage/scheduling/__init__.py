"""What the scheduler claims, limits and appends."""
