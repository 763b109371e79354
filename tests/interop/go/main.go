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
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	// By this the connection watches the health of each server, as the service config says.
	_ "google.golang.org/grpc/health"

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

// address says where the service is, whom to trust, by what name if it is not the target's, and how to retry.
type address struct{ target, caFile, serverName, policyFile string }

// connect opens a connection that trusts one authority, and shares calls among servers and retries as the service's own
// config says.
func connect(to address, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	ca, err := os.ReadFile(to.caFile)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in %s", to.caFile)
	}
	policy, err := os.ReadFile(to.policyFile)
	if err != nil {
		return nil, err
	}
	options = append(options,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: authorities, ServerName: to.serverName})),
		grpc.WithDefaultServiceConfig(string(policy)),
		grpc.WithResolvers(addresses{}),
		// While no server is there a call waits for one, as long as it has time; one that is back is soon met again.
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
	)
	return grpc.NewClient(to.target, options...)
}

func run(ctx context.Context) (err error) {
	to := address{
		target:     os.Getenv("WALLET_TARGET"),
		caFile:     os.Getenv("WALLET_CA"),
		serverName: os.Getenv("WALLET_SERVER_NAME"),
		policyFile: os.Getenv("WALLET_SERVICE_CONFIG"),
	}
	conn, err := connect(to, grpc.WithPerRPCCredentials(bearer(os.Getenv("WALLET_TOKEN"))))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	nameless, err := connect(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nameless.Close()) }()

	s := story{caller: newCaller(conn), nameless: newCaller(nameless), prefix: os.Getenv("INTEROP_PREFIX")}
	printer := json.NewEncoder(os.Stdout)
	type step struct {
		name string
		take func(context.Context) (any, error)
	}
	steps := []step{
		{"calls", s.calls},
		{"refusals", s.refusals},
		{"replay", s.replay},
		{"pages", s.pages},
		{"stream", func(ctx context.Context) (any, error) { return s.stream(ctx, os.Getenv("INTEROP_HISTORY")) }},
		{"watch", s.watch},
	}
	if len(os.Args) > 1 {
		steps = []step{{"failover", func(ctx context.Context) (any, error) { return s.failover(ctx, os.Stdin) }}}
	}
	for _, step := range steps {
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
