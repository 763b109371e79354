package com.example.wallet.interop;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.Map;

/** What the service says about a call that it refused. */
record Refusal(int code, String reason, String domain, Map<String, String> metadata, List<String> fields) {

  /** Makes a call that must be refused; reads the details of its error. */
  static Refusal of(Runnable call) throws InvalidProtocolBufferException {
    try {
      call.run();
    } catch (StatusRuntimeException refused) {
      return read(StatusProto.fromThrowable(refused));
    }
    throw new IllegalStateException("a call went well that was to be refused");
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
    return new Refusal(
        status.getCode(),
        info.getReason(),
        info.getDomain(),
        info.getMetadataMap(),
        badRequest.getFieldViolationsList().stream().map(BadRequest.FieldViolation::getField).toList());
  }
}
