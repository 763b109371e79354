"""``python -m wallet_grpc``."""

import gc
import sys

from wallet_core.stop_signals import stop_event

if __name__ == "__main__":
    stopping = stop_event()
    # After the signal handling: loading takes a second, in which a signal would end the process with an error.
    gc.disable()
    from wallet_grpc.server.process import main

    gc.freeze()  # loaded modules stay: the collector need not examine them
    gc.enable()
    sys.exit(main(sys.argv[1:], stopping))
