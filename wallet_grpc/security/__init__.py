"""Authentication, scopes and sealed tokens."""
