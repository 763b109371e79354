"""``python -m wallet_grpc``."""

import sys

from wallet_grpc.process import main

if __name__ == "__main__":
    sys.exit(main())
