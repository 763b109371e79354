"""A local PostgreSQL and other child processes that never outlive the process that started them.

``postgres.LocalPostgres`` runs a server on a directory, ``child.spawn`` starts anything else. Neither needs Docker, an
installed PostgreSQL, or an account to run it as; errors are the ones in ``errors``.
"""
