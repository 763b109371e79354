package com.example.wallet.interop;

import com.example.wallet.v1.CancelWithdrawalRequest;
import com.example.wallet.v1.CaptureHoldRequest;
import com.example.wallet.v1.CaptureHoldResponse;
import com.example.wallet.v1.CreateWalletRequest;
import com.example.wallet.v1.DepositRequest;
import com.example.wallet.v1.DepositResponse;
import com.example.wallet.v1.Event;
import com.example.wallet.v1.ExportStatementRequest;
import com.example.wallet.v1.ExportStatementResponse;
import com.example.wallet.v1.GetWalletRequest;
import com.example.wallet.v1.ListTransactionsRequest;
import com.example.wallet.v1.ListTransactionsResponse;
import com.example.wallet.v1.Money;
import com.example.wallet.v1.PlaceHoldRequest;
import com.example.wallet.v1.PlaceHoldResponse;
import com.example.wallet.v1.ScheduleWithdrawalRequest;
import com.example.wallet.v1.Transaction;
import com.example.wallet.v1.TransferRequest;
import com.example.wallet.v1.TransferResponse;
import com.example.wallet.v1.Wallet;
import com.example.wallet.v1.WatchEventsRequest;
import com.example.wallet.v1.WatchEventsResponse;
import com.example.wallet.v1.Withdrawal;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/** What the caller does, step by step, with two wallets of its own. */
final class Story {
  /** One more than what a double can tell from its neighbours. */
  private static final long LARGE = (1L << 53) + 1;

  /** So many calls are under way at once. */
  private static final int PARALLEL = 8;
  private static final int ATTEMPTS_MAX = 5;

  private static final Duration STREAM_TIMEOUT = Duration.ofMinutes(1);

  private final Caller caller;
  private final Caller nameless;
  private final String prefix;
  private final String alice;
  private final String bob;

  /** The names of all transactions of Alice's wallet, oldest first. */
  private final List<String> made = new ArrayList<>();

  /** Tells the story with wallets whose ids begin with a prefix; {@code nameless} has no token. */
  Story(Caller caller, Caller nameless, String prefix) {
    this.caller = caller;
    this.nameless = nameless;
    this.prefix = prefix;
    this.alice = "wallets/" + prefix + "-alice";
    this.bob = "wallets/" + prefix + "-bob";
  }

  /** Transfers one minor unit after the other until the input ends; each call has an id of its own. */
  Map<String, Object> failover(InputStream until) throws IOException, InterruptedException {
    AtomicBoolean stopped = new AtomicBoolean();
    AtomicInteger done = new AtomicInteger();
    Queue<String> failed = new ConcurrentLinkedQueue<>();
    ExecutorService callers = Executors.newFixedThreadPool(PARALLEL);
    for (int caller = 0; caller < PARALLEL; caller++) {
      callers.execute(() -> {
        while (!stopped.get()) {
          try {
            transferOnce(newId());
            done.incrementAndGet();
          } catch (StatusRuntimeException error) {
            failed.add(error.getMessage());
          }
        }
      });
    }
    until.transferTo(OutputStream.nullOutputStream());
    stopped.set(true);
    callers.shutdown();
    callers.awaitTermination(STREAM_TIMEOUT.toSeconds(), TimeUnit.SECONDS);
    return Map.of("done", done.get(), "failed", failed);
  }

  /** Transfers one minor unit, and repeats the call with its id if its connection broke. */
  private void transferOnce(String requestId) {
    for (int attempt = 1; ; attempt++) {
      try {
        transfer(1, requestId);
        return;
      } catch (StatusRuntimeException error) {
        // grpc-java reports a TLS connection that broke as UNKNOWN, which the retry policy does not cover.
        boolean broke = error.getStatus().getCode() == Status.Code.UNKNOWN;
        if (!broke || attempt == ATTEMPTS_MAX) {
          throw error;
        }
      }
    }
  }

  /** Makes the main calls, each once. */
  Map<String, Object> calls() {
    for (String id : List.of(prefix + "-alice", prefix + "-bob")) {
      caller.wallets().createWallet(CreateWalletRequest.newBuilder()
          .setWalletId(id)
          .setWallet(Wallet.newBuilder().setCurrencyCode("USD"))
          .setRequestId(newId())
          .build());
    }
    DepositResponse deposited = caller.transactions().deposit(DepositRequest.newBuilder()
        .setWallet(alice)
        .setAmount(usd(LARGE))
        .setRequestId(newId())
        .build());
    Wallet rich = wallet(alice);
    TransferResponse transferred = transfer(1005, newId());
    PlaceHoldResponse placed = caller.holds().placeHold(PlaceHoldRequest.newBuilder()
        .setWallet(alice)
        .setAmount(usd(500))
        .setExpireTime(fromNow(Duration.ofHours(1)))
        .setRequestId(newId())
        .build());
    CaptureHoldResponse captured = caller.holds().captureHold(CaptureHoldRequest.newBuilder()
        .setName(placed.getHold().getName())
        .setDestination(bob)
        .setAmount(usd(300))
        .setFinal(true)
        .setRequestId(newId())
        .build());
    Withdrawal scheduled = caller.schedules().scheduleWithdrawal(ScheduleWithdrawalRequest.newBuilder()
        .setWallet(bob)
        .setAmount(usd(700))
        .setExecuteTime(fromNow(Duration.ofDays(1)))
        .setReserve(true)
        .setRequestId(newId())
        .build()).getWithdrawal();
    Wallet reserved = wallet(bob);
    Withdrawal cancelled = caller.schedules().cancelWithdrawal(CancelWithdrawalRequest.newBuilder()
        .setName(scheduled.getName())
        .setRequestId(newId())
        .build()).getWithdrawal();
    Wallet aliceAfter = wallet(alice);
    Wallet bobAfter = wallet(bob);
    for (Transaction transaction :
        List.of(deposited.getTransaction(), transferred.getTransaction(), captured.getTransaction())) {
      made.add(transaction.getName());
    }
    return Map.ofEntries(
        Map.entry("deposited", units(rich.getBalance())),
        Map.entry("transferType", transferred.getTransaction().getType().name()),
        Map.entry("heldFrom", units(placed.getAvailable())),
        Map.entry("hold", captured.getHold().getState().name()),
        Map.entry("captured", units(captured.getHold().getCapturedAmount())),
        Map.entry("scheduled", scheduled.getState().name()),
        Map.entry("reserved", units(reserved.getHeld())),
        Map.entry("cancelled", cancelled.getState().name()),
        Map.entry("alice", units(aliceAfter.getBalance())),
        Map.entry("bob", units(bobAfter.getBalance())),
        Map.entry("bobAvailable", units(bobAfter.getAvailable())));
  }

  /** Asks for what the service must refuse, and reads why. */
  Map<String, Object> refusals() throws InvalidProtocolBufferException {
    TransferRequest transfer = TransferRequest.newBuilder()
        .setSource(bob)
        .setDestination(alice)
        .setAmount(usd(LARGE))
        .setRequestId(newId())
        .build();
    TransferRequest invalid = transfer.toBuilder().setAmount(usd(0)).setRequestId("1").build();
    return Map.of(
        "insufficientFunds", Refusal.of(() -> caller.transactions().transfer(transfer)),
        "invalidFields", Refusal.of(() -> caller.transactions().transfer(invalid)),
        "noToken", Refusal.of(() -> nameless.transactions().transfer(transfer)));
  }

  /** Sends a transfer twice, as a caller does that has not heard the first answer; then misuses its id. */
  Map<String, Object> replay() throws InvalidProtocolBufferException {
    String requestId = newId();
    TransferResponse first = transfer(25, requestId);
    Wallet once = wallet(bob);
    TransferResponse again = transfer(25, requestId);
    Refusal reused = Refusal.of(() -> transfer(26, requestId));
    Wallet after = wallet(bob);
    made.add(first.getTransaction().getName());
    return Map.of(
        "requestId", requestId,
        "names", List.of(first.getTransaction().getName(), again.getTransaction().getName()),
        "replayed", List.of(first.getReplayed(), again.getReplayed()),
        "balances", List.of(units(once.getBalance()), units(after.getBalance())),
        "reused", reused);
  }

  /** Makes some more transactions and lists all of them, three at a time. */
  Map<String, Object> pages() {
    for (long amount = 1; amount <= 6; amount++) {
      made.add(transfer(amount, newId()).getTransaction().getName());
    }
    List<List<String>> pages = new ArrayList<>();
    ListTransactionsRequest.Builder request =
        ListTransactionsRequest.newBuilder().setWallet(alice).setPageSize(3);
    do {
      ListTransactionsResponse page = caller.transactions().listTransactions(request.build());
      pages.add(page.getTransactionsList().stream().map(Transaction::getName).toList());
      request.setPageToken(page.getNextPageToken());
    } while (!request.getPageToken().isEmpty());
    return Map.of("made", made, "pages", pages);
  }

  /** Exports a long statement to its end, and once more until enough was seen. */
  Map<String, Object> stream(String wallet) {
    ExportStatementRequest request = ExportStatementRequest.newBuilder()
        .setWallet(wallet)
        .setStartTime(Timestamp.getDefaultInstance())
        .setEndTime(fromNow(Duration.ZERO))
        .build();
    long lines = 0;
    for (Iterator<ExportStatementResponse> parts = export(request); parts.hasNext(); ) {
      for (byte one : parts.next().getData()) {
        lines += one == '\n' ? 1 : 0;
      }
    }
    Status.Code cancelled = cancelMidway(request);
    return Map.of("lines", lines, "cancelled", cancelled.value(), "after", wallet(wallet).getState().name());
  }

  private Iterator<ExportStatementResponse> export(ExportStatementRequest request) {
    return caller.transactions().withDeadlineAfter(STREAM_TIMEOUT).exportStatement(request);
  }

  /** Reads one part, cancels, and returns what the export ended with. */
  private Status.Code cancelMidway(ExportStatementRequest request) {
    Context.CancellableContext context = Context.current().withCancellation();
    Context before = context.attach();
    try {
      Iterator<ExportStatementResponse> parts = export(request);
      parts.next();
      context.cancel(null);
      parts.forEachRemaining(part -> {});
      return Status.Code.OK;
    } catch (StatusRuntimeException ended) {
      return ended.getStatus().getCode();
    } finally {
      context.detach(before);
      context.close();
    }
  }

  /** Receives all transactions of Alice's wallet, and once more of those after the third. */
  Map<String, Object> watch() {
    List<Event> received = new ArrayList<>();
    eventsOf(WatchEventsRequest.newBuilder().setFromStart(true), made.size(), received);
    List<Event> rest = new ArrayList<>();
    Status.Code cancelled =
        eventsOf(
            WatchEventsRequest.newBuilder().setResumeToken(received.get(2).getResumeToken()), made.size() - 3, rest);
    return Map.of(
        "made", made, "received", resources(received), "resumed", resources(rest), "cancelled", cancelled.value());
  }

  /** Watches until count events have come, cancels, and returns what the watch ended with. */
  private Status.Code eventsOf(WatchEventsRequest.Builder request, int count, List<Event> received) {
    request.setWallet(alice).addTypes(Event.Type.TYPE_TRANSACTION_POSTED);
    Context.CancellableContext context = Context.current().withCancellation();
    Context before = context.attach();
    try {
      Iterator<WatchEventsResponse> watch =
          caller.events().withDeadlineAfter(STREAM_TIMEOUT).watchEvents(request.build());
      while (received.size() < count) {
        received.addAll(watch.next().getEventsList());
      }
      context.cancel(null);
      watch.forEachRemaining(response -> {});
      return Status.Code.OK;
    } catch (StatusRuntimeException ended) {
      return ended.getStatus().getCode();
    } finally {
      context.detach(before);
      context.close();
    }
  }

  private static List<String> resources(List<Event> events) {
    return events.stream().map(Event::getResource).toList();
  }

  private TransferResponse transfer(long minorUnits, String requestId) {
    return caller.transactions().transfer(TransferRequest.newBuilder()
        .setSource(alice)
        .setDestination(bob)
        .setAmount(usd(minorUnits))
        .setRequestId(requestId)
        .build());
  }

  private Wallet wallet(String name) {
    return caller.wallets().getWallet(GetWalletRequest.newBuilder().setName(name).build()).getWallet();
  }

  private static Money usd(long minorUnits) {
    return Money.newBuilder().setCurrencyCode("USD").setMinorUnits(minorUnits).build();
  }

  /** Writes an amount as the JSON form of protobuf does, because JSON's own numbers may be doubles. */
  private static String units(Money amount) {
    return Long.toString(amount.getMinorUnits());
  }

  private static Timestamp fromNow(Duration later) {
    Instant time = Instant.now().plus(later);
    return Timestamp.newBuilder().setSeconds(time.getEpochSecond()).setNanos(time.getNano()).build();
  }

  private static String newId() {
    return UUID.randomUUID().toString();
  }
}
