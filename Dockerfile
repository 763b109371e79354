# One image for every process; the compose file says which one runs.
FROM python:3.13-slim
WORKDIR /srv/wallet
COPY requirements.txt pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY gen gen
COPY wallet_core wallet_core
COPY wallet_grpc wallet_grpc
COPY scheduler scheduler
COPY bank_stub bank_stub
COPY walletctl walletctl
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . && useradd --system wallet
USER wallet
# What is not set is refused at the start, with its name: docs/operating.md, "In production".
ENV WALLET_MODE=production WALLET_GRPC_HOST=0.0.0.0
EXPOSE 50051
CMD ["python", "-m", "wallet_grpc"]
