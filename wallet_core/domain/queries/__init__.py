"""What lists and statements can be asked for."""
