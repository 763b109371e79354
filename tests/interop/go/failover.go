package main

import (
	"context"
	"io"
	"strings"
	"sync"

	"github.com/google/uuid"
	"google.golang.org/grpc/resolver"
)

// So many calls are under way at once.
const parallel = 8

// addresses resolves ipv4:HOST:PORT,HOST:PORT as other languages' gRPC does; Go's own resolvers take names alone.
type addresses struct{}

func (addresses) Scheme() string { return "ipv4" }

func (addresses) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	var state resolver.State
	for _, address := range strings.Split(target.Endpoint(), ",") {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}})
	}
	return addresses{}, cc.UpdateState(state)
}

func (addresses) ResolveNow(resolver.ResolveNowOptions) {}
func (addresses) Close()                                {}

// failover transfers one minor unit after the other until the input ends; each call has an id of its own.
func (s *story) failover(ctx context.Context, until io.Reader) (any, error) {
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		_, _ = io.Copy(io.Discard, until)
	}()
	var (
		callers sync.WaitGroup
		guard   sync.Mutex
		done    int
		failed  = []string{}
	)
	for range parallel {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := s.transfer(ctx, 1, uuid.NewString())
				guard.Lock()
				if err == nil {
					done++
				} else {
					failed = append(failed, err.Error())
				}
				guard.Unlock()
			}
		})
	}
	callers.Wait()
	return map[string]any{"done": done, "failed": failed}, nil
}
