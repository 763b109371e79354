// A caller of the wallet service in Go: it does one of each and prints what it saw, a line of JSON for each step.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	walletv1 "github.com/example/wallet-grpc/gen/go/wallet/v1"
)

// How long one call may take, its retries included.
const callTimeout = 10 * time.Second

// caller has a stub for each service that it uses, all on one connection.
type caller struct {
	wallets      walletv1.WalletServiceClient
	transactions walletv1.TransactionServiceClient
	schedules    walletv1.ScheduleServiceClient
	holds        walletv1.HoldServiceClient
	events       walletv1.EventServiceClient
}

func newCaller(conn grpc.ClientConnInterface) *caller {
	return &caller{
		wallets:      walletv1.NewWalletServiceClient(conn),
		transactions: walletv1.NewTransactionServiceClient(conn),
		schedules:    walletv1.NewScheduleServiceClient(conn),
		holds:        walletv1.NewHoldServiceClient(conn),
		events:       walletv1.NewEventServiceClient(conn),
	}
}

// bearer sends a token with each call; gRPC refuses to send it in the clear.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// connect opens a connection that trusts one authority and retries as the service's own policy says.
func connect(target, caFile, policyFile string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in %s", caFile)
	}
	policy, err := os.ReadFile(policyFile)
	if err != nil {
		return nil, err
	}
	options = append(options,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: authorities})),
		grpc.WithDefaultServiceConfig(string(policy)),
	)
	return grpc.NewClient(target, options...)
}

func run(ctx context.Context) (err error) {
	target, ca, policy := os.Getenv("WALLET_TARGET"), os.Getenv("WALLET_CA"), os.Getenv("WALLET_SERVICE_CONFIG")
	conn, err := connect(target, ca, policy, grpc.WithPerRPCCredentials(bearer(os.Getenv("WALLET_TOKEN"))))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	nameless, err := connect(target, ca, policy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nameless.Close()) }()

	s := story{caller: newCaller(conn), nameless: newCaller(nameless), prefix: os.Getenv("INTEROP_PREFIX")}
	printer := json.NewEncoder(os.Stdout)
	for _, step := range []struct {
		name string
		take func(context.Context) (any, error)
	}{
		{"calls", s.calls},
		{"refusals", s.refusals},
		{"replay", s.replay},
		{"pages", s.pages},
		{"stream", func(ctx context.Context) (any, error) { return s.stream(ctx, os.Getenv("INTEROP_HISTORY")) }},
		{"watch", s.watch},
	} {
		saw, err := step.take(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := printer.Encode(map[string]any{"step": step.name, "saw": saw}); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
