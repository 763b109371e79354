"""Commands on wallets."""
