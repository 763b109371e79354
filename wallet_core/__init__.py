"""The wallet's core: what money may do, and how that is kept. Knows nothing of gRPC."""
