"""Connections to the database: sessions, roles, readiness."""
