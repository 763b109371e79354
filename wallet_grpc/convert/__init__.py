"""Between protobuf and the domain, both ways, a file a service. Shapes were checked before; meaning is checked here."""
