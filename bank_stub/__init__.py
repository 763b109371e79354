"""A bank on the other end of a bad line, as a small HTTP service.

It pays out, collects, numbers what it did in a ledger, and can be ordered to misbehave in every way a bank and the
line to it are known to. It is a stranger to the wallet: it imports nothing of it and shares nothing with it but HTTP.

    python -m bank_stub --port 8010 --state bank.sqlite

Inside one process, :func:`bank_stub.server.running_bank` starts one on a free port.
"""
