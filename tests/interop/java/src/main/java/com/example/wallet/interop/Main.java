package com.example.wallet.interop;

import com.google.gson.Gson;
import io.grpc.ManagedChannel;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

/** A caller of the wallet service in Java: it does one of each and prints what it saw, a line of JSON a step. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) throws Exception {
    ManagedChannel channel = Caller.open(
        setting("WALLET_TARGET"),
        Path.of(setting("WALLET_CA")),
        Optional.ofNullable(System.getenv("WALLET_SERVER_NAME")),
        Path.of(setting("WALLET_SERVICE_CONFIG")));
    try {
      Caller caller = new Caller(channel, Optional.of(setting("WALLET_TOKEN")));
      Caller nameless = new Caller(channel, Optional.empty());
      Story story = new Story(caller, nameless, setting("INTEROP_PREFIX"));
      Map<String, Callable<Map<String, Object>>> steps = new LinkedHashMap<>();
      if (arguments.length > 0) {
        steps.put("failover", () -> story.failover(System.in));
      } else {
        steps.put("calls", story::calls);
        steps.put("refusals", story::refusals);
        steps.put("replay", story::replay);
        steps.put("pages", story::pages);
        steps.put("stream", () -> story.stream(setting("INTEROP_HISTORY")));
        steps.put("watch", story::watch);
      }
      Gson gson = new Gson();
      for (Map.Entry<String, Callable<Map<String, Object>>> step : steps.entrySet()) {
        System.out.println(gson.toJson(Map.of("step", step.getKey(), "saw", step.getValue().call())));
      }
    } finally {
      channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private static String setting(String variable) {
    return Optional.ofNullable(System.getenv(variable))
        .orElseThrow(() -> new IllegalStateException(variable + " is not set"));
  }
}
