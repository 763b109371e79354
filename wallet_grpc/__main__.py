"""``python -m wallet_grpc``."""

import sys

from wallet_core.loading import loading
from wallet_core.stop_signals import stop_event

if __name__ == "__main__":
    stopping = stop_event()
    # After the signal handling: loading takes a second, in which a signal would end the process with an error.
    with loading():
        from wallet_grpc.server.process import main
    sys.exit(main(sys.argv[1:], stopping))
