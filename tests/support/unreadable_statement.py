"""What banks that are classes of a test have in common."""


class UnreadableStatement:
    """A bank whose ledger cannot be read."""

    def ledger(self, *, after: int, limit: int) -> None:
        """Report nothing."""
        del after, limit
