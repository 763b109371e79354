package com.example.wallet.interop;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What the service says about a call that it refused. */
record Refusal(
    int code,
    String reason,
    String domain,
    String outcome,
    Map<String, String> metadata,
    List<String> fields,
    boolean nothingDone) {

  /** Makes a call that must be refused; reads the details of its error. */
  static Refusal of(Runnable call) throws InvalidProtocolBufferException {
    try {
      call.run();
    } catch (StatusRuntimeException refused) {
      return read(StatusProto.fromThrowable(refused));
    }
    throw new IllegalStateException("a call went well that was to be refused");
  }

  /**
   * Whether a change was not made: neither by this attempt nor, if there were any, by earlier ones with the same
   * request id. If not, ask again with the same request id. By the outcome and not by a list of reasons: so it is right
   * about reasons that are new.
   */
  static boolean nothingDone(String outcome, boolean attempted) {
    return outcome.equals("NOT_DONE") || (outcome.equals("NOT_DONE_RETRY") && !attempted);
  }

  private static Refusal read(Status status) throws InvalidProtocolBufferException {
    ErrorInfo info = ErrorInfo.getDefaultInstance();
    BadRequest badRequest = BadRequest.getDefaultInstance();
    for (Any detail : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        info = detail.unpack(ErrorInfo.class);
      } else if (detail.is(BadRequest.class)) {
        badRequest = detail.unpack(BadRequest.class);
      }
    }
    Map<String, String> metadata = new HashMap<>(info.getMetadataMap());
    String outcome = metadata.containsKey("outcome") ? metadata.remove("outcome") : "";
    return new Refusal(
        status.getCode(),
        info.getReason(),
        info.getDomain(),
        outcome,
        metadata,
        badRequest.getFieldViolationsList().stream().map(BadRequest.FieldViolation::getField).toList(),
        nothingDone(outcome, false));
  }
}
