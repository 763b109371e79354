"""One job per file: ``worker(app)`` for the process, ``run_once(app, …) -> Counts`` for cron, ops and tests."""
