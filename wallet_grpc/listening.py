"""What can be wrong with an address to listen on."""


class CannotListen(Exception):
    """The address is taken, or not this machine's."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} cannot be listened on: is another server there?")
