"""The gRPC edge: server and client. The only place that speaks protobuf."""
