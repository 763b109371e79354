"""One job per file: ``lane(app)`` for the process, ``run_once(app, …) -> Counts`` for cron, ops and tests."""
