"""The health check (grpc.health.v1), as bytes: two constant messages are not worth a dependency."""

CHECK = "/grpc.health.v1.Health/Check"

REQUEST = b""
"""A ``HealthCheckRequest`` for the server as a whole."""

SERVING = b"\x08\x01"
"""A ``HealthCheckResponse`` with the status SERVING."""
