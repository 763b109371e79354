import { readFileSync } from "node:fs";

import {
  type CallOptions,
  type Client,
  type ClientUnaryCall,
  Metadata,
  type ServiceError,
  credentials,
} from "@grpc/grpc-js";

import { EventServiceClient } from "../gen/wallet/v1/event_service.js";
import { HoldServiceClient } from "../gen/wallet/v1/hold_service.js";
import { ScheduleServiceClient } from "../gen/wallet/v1/schedule_service.js";
import { TransactionServiceClient } from "../gen/wallet/v1/transaction_service.js";
import { WalletServiceClient } from "../gen/wallet/v1/wallet_service.js";

/** How long one call may take, its retries included. */
const CALL_TIMEOUT_MS = 10_000;

/** Where the service is, whom to trust, by what name if it is not the target's, and how to retry. */
export interface Address {
  target: string;
  caFile: string;
  serverName: string | undefined;
  policyFile: string;
}

/** A client for each service that is used; clients of one address share a connection. */
export interface Caller {
  wallets: WalletServiceClient;
  transactions: TransactionServiceClient;
  schedules: ScheduleServiceClient;
  holds: HoldServiceClient;
  events: EventServiceClient;
  close(): void;
}

/**
 * Connect by TLS, sharing calls among servers and retrying as the service's own config says, and send `token`, if there
 * is one, with each call. grpc-js does not watch the health of servers.
 */
export function connect({ target, caFile, serverName, policyFile }: Address, token?: string): Caller {
  const channel = credentials.createSsl(readFileSync(caFile));
  const both =
    token === undefined
      ? channel
      : credentials.combineChannelCredentials(
          channel,
          credentials.createFromMetadataGenerator((_, callback) => {
            const metadata = new Metadata();
            metadata.set("authorization", `Bearer ${token}`);
            callback(null, metadata);
          }),
        );
  const options = {
    "grpc.service_config": readFileSync(policyFile, "utf8"),
    // A server that is back is soon met again.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2000,
    ...(serverName === undefined
      ? {}
      : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName }),
  };
  const clients = {
    wallets: new WalletServiceClient(target, both, options),
    transactions: new TransactionServiceClient(target, both, options),
    schedules: new ScheduleServiceClient(target, both, options),
    holds: new HoldServiceClient(target, both, options),
    events: new EventServiceClient(target, both, options),
  };
  return { ...clients, close: () => Object.values(clients).forEach((client: Client) => client.close()) };
}

type Method<Request, Answer> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, answer: Answer) => void,
) => ClientUnaryCall;

/** Call with a deadline, until which it waits for a server; the promise is rejected with the `ServiceError`. */
export function call<Request, Answer>(
  client: Client,
  method: Method<Request, Answer>,
  request: Request,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + CALL_TIMEOUT_MS };
    method.call(client, request, new Metadata({ waitForReady: true }), options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}
