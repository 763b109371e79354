"""Webhooks: endpoints that receive events."""
