package com.example.wallet.interop;

import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.StatusOr;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Set;

/** Resolves {@code ipv4:HOST:PORT,HOST:PORT} as other languages' gRPC does; Java's own resolvers take names alone. */
final class Addresses extends NameResolverProvider {
  private static final String SCHEME = "ipv4";

  @Override
  protected boolean isAvailable() {
    return true;
  }

  @Override
  protected int priority() {
    return 5;
  }

  @Override
  public String getDefaultScheme() {
    return SCHEME;
  }

  @Override
  public Collection<Class<? extends SocketAddress>> getProducedSocketAddressTypes() {
    return Set.of(InetSocketAddress.class);
  }

  @Override
  public NameResolver newNameResolver(URI target, NameResolver.Args args) {
    if (!SCHEME.equals(target.getScheme())) {
      return null;
    }
    List<EquivalentAddressGroup> servers =
        Arrays.stream(target.getSchemeSpecificPart().split(",")).map(Addresses::server).toList();
    return new NameResolver() {
      @Override
      public String getServiceAuthority() {
        return target.getSchemeSpecificPart().split(",")[0];
      }

      @Override
      public void start(Listener2 listener) {
        listener.onResult(ResolutionResult.newBuilder().setAddressesOrError(StatusOr.fromValue(servers)).build());
      }

      @Override
      public void shutdown() {}
    };
  }

  private static EquivalentAddressGroup server(String address) {
    int colon = address.lastIndexOf(':');
    int port = Integer.parseInt(address.substring(colon + 1));
    return new EquivalentAddressGroup(new InetSocketAddress(address.substring(0, colon), port));
  }
}
