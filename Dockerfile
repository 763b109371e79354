# One image for every process; the compose file says which one runs.
FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
WORKDIR /srv/wallet
COPY requirements-serve.txt README.md LICENSE ./
RUN pip install --no-cache-dir --require-hashes -r requirements-serve.txt
COPY gen gen
COPY wallet_core wallet_core
COPY wallet_grpc wallet_grpc
COPY wallet_client wallet_client
COPY wallet_console wallet_console
COPY scheduler scheduler
COPY bank_stub bank_stub
COPY walletctl walletctl
# Our own packages lie where they were copied to: nothing is built, so nothing that builds is in the image.
ENV PYTHONPATH=/srv/wallet:/srv/wallet/gen
RUN python -m compileall -q . && useradd --system wallet
USER wallet
# What is not set is refused at the start, with its name: docs/how-to/deploy.md, "In production".
ENV WALLET_MODE=production WALLET_GRPC_HOST=0.0.0.0 WALLET_CONSOLE_MODE=production
EXPOSE 50051
CMD ["python", "-m", "wallet_grpc"]
