"""The scheduler process: APScheduler rings the bell, the database decides who works."""
