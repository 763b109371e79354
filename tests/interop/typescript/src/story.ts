import { randomUUID } from "node:crypto";

import { type ClientReadableStream, status } from "@grpc/grpc-js";

import {
  type Event,
  Event_Type,
  WatchEventsRequest,
  type WatchEventsResponse,
} from "../gen/wallet/v1/event_service.js";
import { Hold_State, PlaceHoldRequest, CaptureHoldRequest } from "../gen/wallet/v1/hold_service.js";
import type { Money } from "../gen/wallet/v1/money.js";
import {
  CancelWithdrawalRequest,
  ScheduleWithdrawalRequest,
  Withdrawal_State,
} from "../gen/wallet/v1/schedule_service.js";
import {
  DepositRequest,
  ExportStatementRequest,
  type ExportStatementResponse,
  ListTransactionsRequest,
  Transaction_Type,
  TransferRequest,
  type TransferResponse,
} from "../gen/wallet/v1/transaction_service.js";
import { CreateWalletRequest, GetWalletRequest, type Wallet, Wallet_State } from "../gen/wallet/v1/wallet_service.js";
import { type Caller, call } from "./caller.js";
import { isServiceError, refusalOf } from "./refusal.js";

/** One more than what a `number` can tell from its neighbours. */
const LARGE = 2n ** 53n + 1n;
/** So many calls are under way at once. */
const PARALLEL = 8;
const HOUR_MS = 3_600_000;
const STREAM_TIMEOUT_MS = 60_000;
const LINE_END = "\n".charCodeAt(0);

/** A stream as gRPC types it, and what can be read from it as Node.js does. */
type Stream<Part> = ClientReadableStream<Part> & AsyncIterable<Part>;

function usd(minorUnits: bigint): Money {
  return { currencyCode: "USD", minorUnits };
}

/** Write an amount as the JSON form of protobuf does, because JSON's own numbers are floats here. */
function units(amount: Money | undefined): string {
  return String(amount?.minorUnits);
}

function fromNow(milliseconds: number): Date {
  return new Date(Date.now() + milliseconds);
}

/** What the caller does, step by step, with two wallets of its own. */
export class Story {
  readonly #alice: string;
  readonly #bob: string;
  /** The names of all transactions of Alice's wallet, oldest first. */
  readonly #made: string[] = [];

  /** `nameless` is a caller without a token. */
  constructor(
    private readonly caller: Caller,
    private readonly nameless: Caller,
    private readonly prefix: string,
  ) {
    this.#alice = `wallets/${prefix}-alice`;
    this.#bob = `wallets/${prefix}-bob`;
  }

  /** Transfer one minor unit after the other until the input ends; each call has an id of its own. */
  async failover(until: NodeJS.ReadStream): Promise<{ done: number; failed: string[] }> {
    let [stopped, done] = [false, 0];
    const failed: string[] = [];
    until.on("end", () => (stopped = true)).resume();
    const calling = async (): Promise<void> => {
      while (!stopped) {
        try {
          await this.#transfer(1n, randomUUID());
          done += 1;
        } catch (error) {
          failed.push(String(error));
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, calling));
    return { done, failed };
  }

  /** Make the main calls, each once. */
  async calls(): Promise<Record<string, string | undefined>> {
    const { wallets, transactions, schedules, holds } = this.caller;
    for (const walletId of [`${this.prefix}-alice`, `${this.prefix}-bob`]) {
      await call(
        wallets,
        wallets.createWallet,
        CreateWalletRequest.fromPartial({ walletId, wallet: { currencyCode: "USD" }, requestId: randomUUID() }),
      );
    }
    const deposited = await call(
      transactions,
      transactions.deposit,
      DepositRequest.fromPartial({ wallet: this.#alice, amount: usd(LARGE), requestId: randomUUID() }),
    );
    const rich = await this.#wallet(this.#alice);
    const transferred = await this.#transfer(1005n);
    const placed = await call(
      holds,
      holds.placeHold,
      PlaceHoldRequest.fromPartial({
        wallet: this.#alice,
        amount: usd(500n),
        expireTime: fromNow(HOUR_MS),
        requestId: randomUUID(),
      }),
    );
    const captured = await call(
      holds,
      holds.captureHold,
      CaptureHoldRequest.fromPartial({
        name: placed.hold?.name ?? "",
        destination: this.#bob,
        amount: usd(300n),
        final: true,
        requestId: randomUUID(),
      }),
    );
    const scheduled = await call(
      schedules,
      schedules.scheduleWithdrawal,
      ScheduleWithdrawalRequest.fromPartial({
        wallet: this.#bob,
        amount: usd(700n),
        executeTime: fromNow(24 * HOUR_MS),
        reserve: true,
        requestId: randomUUID(),
      }),
    );
    const reserved = await this.#wallet(this.#bob);
    const cancelled = await call(
      schedules,
      schedules.cancelWithdrawal,
      CancelWithdrawalRequest.fromPartial({ name: scheduled.withdrawal?.name ?? "", requestId: randomUUID() }),
    );
    const alice = await this.#wallet(this.#alice);
    const bob = await this.#wallet(this.#bob);
    for (const { transaction } of [deposited, transferred, captured]) {
      this.#made.push(transaction?.name ?? "");
    }
    return {
      deposited: units(rich.balance),
      transferType: Transaction_Type[transferred.transaction?.type ?? 0],
      heldFrom: units(placed.available),
      hold: Hold_State[captured.hold?.state ?? 0],
      captured: units(captured.hold?.capturedAmount),
      scheduled: Withdrawal_State[scheduled.withdrawal?.state ?? 0],
      reserved: units(reserved.held),
      cancelled: Withdrawal_State[cancelled.withdrawal?.state ?? 0],
      alice: units(alice.balance),
      bob: units(bob.balance),
      bobAvailable: units(bob.available),
    };
  }

  /** Ask for what the service must refuse, and read why. */
  async refusals(): Promise<Record<string, unknown>> {
    const { transactions } = this.caller;
    const ends = { source: this.#bob, destination: this.#alice };
    const transfer = TransferRequest.fromPartial({ ...ends, amount: usd(LARGE), requestId: randomUUID() });
    const invalid = TransferRequest.fromPartial({ ...ends, amount: usd(0n), requestId: "1" });
    const nameless = this.nameless.transactions;
    return {
      insufficientFunds: await refusalOf(call(transactions, transactions.transfer, transfer)),
      invalidFields: await refusalOf(call(transactions, transactions.transfer, invalid)),
      noToken: await refusalOf(call(nameless, nameless.transfer, transfer)),
    };
  }

  /** Send a transfer twice, as a caller does that has not heard the first answer; then misuse its id. */
  async replay(): Promise<Record<string, unknown>> {
    const requestId = randomUUID();
    const first = await this.#transfer(25n, requestId);
    const once = await this.#wallet(this.#bob);
    const again = await this.#transfer(25n, requestId);
    const reused = await refusalOf(this.#transfer(26n, requestId));
    const after = await this.#wallet(this.#bob);
    this.#made.push(first.transaction?.name ?? "");
    return {
      requestId,
      names: [first.transaction?.name, again.transaction?.name],
      replayed: [first.replayed, again.replayed],
      balances: [units(once.balance), units(after.balance)],
      reused,
    };
  }

  /** Make some more transactions and list all of them, three at a time. */
  async pages(): Promise<{ made: string[]; pages: string[][] }> {
    for (let amount = 1n; amount <= 6n; amount++) {
      const { transaction } = await this.#transfer(amount);
      this.#made.push(transaction?.name ?? "");
    }
    const { transactions } = this.caller;
    const pages: string[][] = [];
    const request = ListTransactionsRequest.fromPartial({ wallet: this.#alice, pageSize: 3 });
    do {
      const page = await call(transactions, transactions.listTransactions, request);
      pages.push(page.transactions.map(({ name }) => name));
      request.pageToken = page.nextPageToken;
    } while (request.pageToken !== "");
    return { made: this.#made, pages };
  }

  /** Export a long statement to its end, and once more until enough was seen. */
  async stream(wallet: string): Promise<Record<string, unknown>> {
    const request = ExportStatementRequest.fromPartial({ wallet, startTime: new Date(0), endTime: new Date() });
    let lines = 0;
    for await (const { data } of this.#export(request)) {
      lines += data.filter((byte) => byte === LINE_END).length;
    }
    const cancelled = await this.#cancelMidway(request);
    const after = await this.#wallet(wallet);
    return { lines, cancelled, after: Wallet_State[after.state] };
  }

  #export(request: ExportStatementRequest): Stream<ExportStatementResponse> {
    const deadline = Date.now() + STREAM_TIMEOUT_MS;
    return this.caller.transactions.exportStatement(request, { deadline }) as Stream<ExportStatementResponse>;
  }

  /** Read one part, cancel, and return the code that the export ended with. */
  async #cancelMidway(request: ExportStatementRequest): Promise<status> {
    const parts = this.#export(request);
    try {
      for await (const _ of parts) {
        parts.cancel();
      }
      return status.OK;
    } catch (error) {
      if (isServiceError(error)) {
        return error.code;
      }
      throw error;
    }
  }

  /** Receive all transactions of Alice's wallet, and once more of those after the third. */
  async watch(): Promise<Record<string, unknown>> {
    const received = (await this.#eventsOf({ fromStart: true }, this.#made.length)).events;
    const rest = await this.#eventsOf({ resumeToken: received[2]?.resumeToken }, this.#made.length - 3);
    const resources = (events: Event[]) => events.map(({ resource }) => resource);
    return { made: this.#made, received: resources(received), resumed: resources(rest.events), cancelled: rest.ended };
  }

  /** Watch until count events have come, cancel, and return them and the code that the watch ended with. */
  async #eventsOf(beginning: Partial<WatchEventsRequest>, count: number): Promise<{ events: Event[]; ended: status }> {
    const request = WatchEventsRequest.fromPartial({
      wallet: this.#alice,
      types: [Event_Type.TYPE_TRANSACTION_POSTED],
      ...beginning,
    });
    const deadline = Date.now() + STREAM_TIMEOUT_MS;
    const watch = this.caller.events.watchEvents(request, { deadline }) as Stream<WatchEventsResponse>;
    const events: Event[] = [];
    try {
      for await (const response of watch) {
        events.push(...response.events);
        if (events.length >= count) {
          watch.cancel();
        }
      }
      return { events, ended: status.OK };
    } catch (error) {
      if (isServiceError(error) && events.length >= count) {
        return { events, ended: error.code };
      }
      throw error;
    }
  }

  #transfer(minorUnits: bigint, requestId: string = randomUUID()): Promise<TransferResponse> {
    const { transactions } = this.caller;
    const ends = { source: this.#alice, destination: this.#bob };
    const request = TransferRequest.fromPartial({ ...ends, amount: usd(minorUnits), requestId });
    return call(transactions, transactions.transfer, request);
  }

  async #wallet(name: string): Promise<Wallet> {
    const { wallets } = this.caller;
    const { wallet } = await call(wallets, wallets.getWallet, GetWalletRequest.fromPartial({ name }));
    if (wallet === undefined) {
      throw new Error(`no wallet came back for ${name}`);
    }
    return wallet;
  }
}
