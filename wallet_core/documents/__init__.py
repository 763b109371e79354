"""Documents for people, made from the ledger."""
