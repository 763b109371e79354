"""The console: pages for operators. A caller of the service like any other, with the rights of its user."""
