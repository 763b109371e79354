"""A stub of a bank, as a small HTTP service.

It pays out, collects, numbers what it did in a statement, and can be ordered to fail as banks and networks do. It
imports nothing of the wallet and shares nothing with it but HTTP.

    python -m bank_stub --port 8010 --state bank.sqlite

Inside one process, :func:`bank_stub.server.running_bank` starts one on a free port.
"""
