"""Conversion between protobuf and the domain, a file per service. Requests were validated by their protos before."""
