"""Documents for people, made of what the books say."""
