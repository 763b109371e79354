"""Run one of our processes and stop it, by SIGSTOP, the first time it comes to a named point; SIGCONT wakes it up.

``python -m tests.support.stop_at before wallet_core.usecases.pay_out:send scheduler --once``
"""

import signal

from tests.support.kill_at import main

if __name__ == "__main__":
    main(signal.SIGSTOP)
