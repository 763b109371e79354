"""What things are: values, and the names and errors that go with them."""
