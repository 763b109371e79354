"""``python -m scheduler``."""

import gc
import sys

from wallet_core.stop_signals import stop_event

if __name__ == "__main__":
    stopping = stop_event()
    # After the signal handlers: loading takes most of a second, in which a signal would end the process with an error.
    gc.disable()
    from scheduler.process import main

    gc.freeze()  # loaded modules stay: no collection need scan them
    gc.enable()
    sys.exit(main(sys.argv[1:], stopping))
