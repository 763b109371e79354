package main

import (
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// refusal is what the service says about a call that it refused.
type refusal struct {
	Code     codes.Code        `json:"code"`
	Reason   string            `json:"reason"`
	Domain   string            `json:"domain"`
	Outcome  string            `json:"outcome"`
	Metadata map[string]string `json:"metadata"`
	Fields   []string          `json:"fields"`
	// NothingDone says that a first attempt did nothing.
	NothingDone bool `json:"nothingDone"`
}

// nothingDone tells whether a change was not made: neither by this attempt nor, if there were any, by earlier ones with
// the same request id. If not, ask again with the same request id. It goes by the outcome and not by a list of reasons,
// so it is right about reasons that are new.
func (r *refusal) nothingDone(attempted bool) bool {
	return r.Outcome == "NOT_DONE" || (r.Outcome == "NOT_DONE_RETRY" && !attempted)
}

// refusalOf reads the details of the error that a call must have ended with.
func refusalOf(err error) (*refusal, error) {
	if err == nil {
		return nil, fmt.Errorf("a call went well that was to be refused")
	}
	received := status.Convert(err)
	found := &refusal{Code: received.Code(), Metadata: map[string]string{}, Fields: []string{}}
	for _, detail := range received.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			found.Reason, found.Domain = detail.GetReason(), detail.GetDomain()
			for key, value := range detail.GetMetadata() {
				found.Metadata[key] = value
			}
			found.Outcome = found.Metadata["outcome"]
			delete(found.Metadata, "outcome")
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				found.Fields = append(found.Fields, violation.GetField())
			}
		}
	}
	if found.Reason == "" {
		return nil, fmt.Errorf("not a refusal of the service: %w", err)
	}
	found.NothingDone = found.nothingDone(false)
	return found, nil
}
