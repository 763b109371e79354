import type { ServiceError, status } from "@grpc/grpc-js";

import { BadRequest, ErrorInfo } from "../gen/google/rpc/error_details.js";
import { Status } from "../gen/google/rpc/status.js";

/** What the service says about a call that it refused. */
export interface Refusal {
  code: status;
  reason: string;
  domain: string;
  outcome: string;
  metadata: Record<string, string>;
  fields: string[];
  /** Whether a first attempt did nothing. */
  nothingDone: boolean;
}

/**
 * Tell whether a change was not made: neither by this attempt nor, if there were any, by earlier ones with the same
 * request id. If not, ask again with the same request id. By the outcome and not by a list of reasons: so it is right
 * about reasons that are new.
 */
export function nothingDone(outcome: string, attempted: boolean): boolean {
  return outcome === "NOT_DONE" || (outcome === "NOT_DONE_RETRY" && !attempted);
}

/** Wait for a call that must be refused; read the details of its error. */
export async function refusalOf(answer: Promise<unknown>): Promise<Refusal> {
  const error = await answer.then(
    () => {
      throw new Error("a call went well that was to be refused");
    },
    (error: unknown) => error,
  );
  if (!isServiceError(error)) {
    throw error;
  }
  const refusal: Refusal = {
    code: error.code,
    reason: "",
    domain: "",
    outcome: "",
    metadata: {},
    fields: [],
    nothingDone: false,
  };
  const [packed] = error.metadata.get("grpc-status-details-bin");
  if (!(packed instanceof Buffer)) {
    throw error;
  }
  for (const { typeUrl, value } of Status.decode(packed).details) {
    switch (typeUrl) {
      case "type.googleapis.com/google.rpc.ErrorInfo": {
        const { reason, domain, metadata } = ErrorInfo.decode(value);
        const { outcome = "", ...about } = metadata;
        Object.assign(refusal, { reason, domain, outcome, metadata: about, nothingDone: nothingDone(outcome, false) });
        break;
      }
      case "type.googleapis.com/google.rpc.BadRequest":
        refusal.fields = BadRequest.decode(value).fieldViolations.map((violation) => violation.field);
        break;
    }
  }
  return refusal;
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error;
}
