"""The server without its events: neither facts nor outbox. Only for ``benchmarks.events``; its books do not verify."""

import sys

from wallet_core.domain.deciding import facts
from wallet_core.stop_signals import stop_event
from wallet_core.storage.posting import load_and_store
from wallet_grpc.server.process import main

if __name__ == "__main__":
    vars(load_and_store)["store_events"] = lambda _tx, _ledger: None
    vars(facts)["posted"] = lambda _transaction, _origin: ""
    sys.exit(main(sys.argv[1:], stop_event()))
