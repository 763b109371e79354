"""Commands on payment orders and on the bank statement."""
