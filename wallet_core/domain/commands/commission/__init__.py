"""Commands on commission rules."""
