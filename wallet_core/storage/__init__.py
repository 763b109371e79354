"""The only room with SQL: every statement, every lock, every database error."""
