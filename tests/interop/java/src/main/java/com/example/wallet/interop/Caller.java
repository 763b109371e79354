package com.example.wallet.interop;

import com.example.wallet.v1.EventServiceGrpc;
import com.example.wallet.v1.EventServiceGrpc.EventServiceBlockingStub;
import com.example.wallet.v1.HoldServiceGrpc;
import com.example.wallet.v1.HoldServiceGrpc.HoldServiceBlockingStub;
import com.example.wallet.v1.ScheduleServiceGrpc;
import com.example.wallet.v1.ScheduleServiceGrpc.ScheduleServiceBlockingStub;
import com.example.wallet.v1.TransactionServiceGrpc;
import com.example.wallet.v1.TransactionServiceGrpc.TransactionServiceBlockingStub;
import com.example.wallet.v1.WalletServiceGrpc;
import com.example.wallet.v1.WalletServiceGrpc.WalletServiceBlockingStub;
import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.Channel;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.NameResolverRegistry;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.AbstractStub;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** A stub for each service that is used, all on one channel. */
final class Caller {
  /** How long one call may take, its retries included. */
  static final Duration CALL_TIMEOUT = Duration.ofSeconds(10);

  private final Channel channel;
  private final Optional<String> token;

  /** Calls through a channel, with a token if there is one. */
  Caller(Channel channel, Optional<String> token) {
    this.channel = channel;
    this.token = token;
  }

  /**
   * Opens a channel that trusts one authority, by a name if it is not the target's, and shares calls among servers and
   * retries as the service's own config says.
   */
  static ManagedChannel open(String target, Path ca, Optional<String> serverName, Path policy) throws IOException {
    // Gson reads numbers as doubles, which is how a channel wants them.
    Map<String, ?> config = new Gson().fromJson(Files.readString(policy), new TypeToken<Map<String, ?>>() {}.getType());
    NameResolverRegistry.getDefaultRegistry().register(new Addresses());
    ManagedChannelBuilder<?> channel =
        Grpc.newChannelBuilder(target, TlsChannelCredentials.newBuilder().trustManager(ca.toFile()).build())
            .defaultServiceConfig(config);
    serverName.ifPresent(channel::overrideAuthority);
    return channel.build();
  }

  WalletServiceBlockingStub wallets() {
    return stub(WalletServiceGrpc::newBlockingStub);
  }

  TransactionServiceBlockingStub transactions() {
    return stub(TransactionServiceGrpc::newBlockingStub);
  }

  ScheduleServiceBlockingStub schedules() {
    return stub(ScheduleServiceGrpc::newBlockingStub);
  }

  HoldServiceBlockingStub holds() {
    return stub(HoldServiceGrpc::newBlockingStub);
  }

  EventServiceBlockingStub events() {
    return stub(EventServiceGrpc::newBlockingStub);
  }

  /**
   * A deadline begins when it is set, so each call takes a stub of its own; stubs cost nothing. While no server is there a
   * call waits for one, as long as it has time.
   */
  private <S extends AbstractStub<S>> S stub(Function<Channel, S> of) {
    S stub = of.apply(channel).withDeadlineAfter(CALL_TIMEOUT).withWaitForReady();
    return token.map(BearerToken::new).map(stub::withCallCredentials).orElse(stub);
  }
}
