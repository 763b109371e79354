package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	walletv1 "github.com/example/wallet-grpc/gen/go/wallet/v1"
)

// One more than what a 64-bit float can tell from its neighbours.
const large = 1<<53 + 1

// story is what the caller does, step by step, with two wallets of its own.
type story struct {
	*caller
	// nameless is a caller without a token.
	nameless *caller
	prefix   string
	// made has the names of all transactions of Alice's wallet, oldest first.
	made []string
}

func (s *story) alice() string { return "wallets/" + s.prefix + "-alice" }
func (s *story) bob() string   { return "wallets/" + s.prefix + "-bob" }

func usd(minorUnits int64) *walletv1.Money {
	return &walletv1.Money{CurrencyCode: "USD", MinorUnits: minorUnits}
}

// units writes an amount as the JSON form of protobuf does, because JSON's own numbers may be floats.
func units(amount *walletv1.Money) string { return strconv.FormatInt(amount.GetMinorUnits(), 10) }

// within calls with a deadline.
func within[Request, Answer, Option any](
	ctx context.Context,
	call func(context.Context, Request, ...Option) (Answer, error),
	request Request,
) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx, request)
}

// calls makes the main calls, each once.
func (s *story) calls(ctx context.Context) (any, error) {
	for _, id := range []string{s.prefix + "-alice", s.prefix + "-bob"} {
		if _, err := within(ctx, s.wallets.CreateWallet, &walletv1.CreateWalletRequest{
			WalletId:  id,
			Wallet:    &walletv1.Wallet{CurrencyCode: "USD"},
			RequestId: uuid.NewString(),
		}); err != nil {
			return nil, err
		}
	}
	deposited, err := within(ctx, s.transactions.Deposit, &walletv1.DepositRequest{
		Wallet: s.alice(), Amount: usd(large), RequestId: uuid.NewString(),
	})
	if err != nil {
		return nil, err
	}
	rich, err := s.wallet(ctx, s.alice())
	if err != nil {
		return nil, err
	}
	transferred, err := s.transfer(ctx, 1005, uuid.NewString())
	if err != nil {
		return nil, err
	}
	hold, err := within(ctx, s.holds.PlaceHold, &walletv1.PlaceHoldRequest{
		Wallet:     s.alice(),
		Amount:     usd(500),
		ExpireTime: timestamppb.New(time.Now().Add(time.Hour)),
		RequestId:  uuid.NewString(),
	})
	if err != nil {
		return nil, err
	}
	captured, err := within(ctx, s.holds.CaptureHold, &walletv1.CaptureHoldRequest{
		Name: hold.GetHold().GetName(), Destination: s.bob(), Amount: usd(300), Final: true, RequestId: uuid.NewString(),
	})
	if err != nil {
		return nil, err
	}
	scheduled, err := within(ctx, s.schedules.ScheduleWithdrawal, &walletv1.ScheduleWithdrawalRequest{
		Wallet:      s.bob(),
		Amount:      usd(700),
		ExecuteTime: timestamppb.New(time.Now().Add(24 * time.Hour)),
		Reserve:     true,
		RequestId:   uuid.NewString(),
	})
	if err != nil {
		return nil, err
	}
	reserved, err := s.wallet(ctx, s.bob())
	if err != nil {
		return nil, err
	}
	cancelled, err := within(ctx, s.schedules.CancelWithdrawal, &walletv1.CancelWithdrawalRequest{
		Name: scheduled.GetWithdrawal().GetName(), RequestId: uuid.NewString(),
	})
	if err != nil {
		return nil, err
	}
	alice, err := s.wallet(ctx, s.alice())
	if err != nil {
		return nil, err
	}
	bob, err := s.wallet(ctx, s.bob())
	if err != nil {
		return nil, err
	}
	s.made = append(s.made,
		deposited.GetTransaction().GetName(), transferred.GetTransaction().GetName(), captured.GetTransaction().GetName())
	return map[string]any{
		"deposited":    units(rich.GetBalance()),
		"transferType": transferred.GetTransaction().GetType().String(),
		"heldFrom":     units(hold.GetAvailable()),
		"hold":         captured.GetHold().GetState().String(),
		"captured":     units(captured.GetHold().GetCapturedAmount()),
		"scheduled":    scheduled.GetWithdrawal().GetState().String(),
		"reserved":     units(reserved.GetHeld()),
		"cancelled":    cancelled.GetWithdrawal().GetState().String(),
		"alice":        units(alice.GetBalance()),
		"bob":          units(bob.GetBalance()),
		"bobAvailable": units(bob.GetAvailable()),
	}, nil
}

// refusals asks for what the service must refuse, and reads why.
func (s *story) refusals(ctx context.Context) (any, error) {
	transfer := &walletv1.TransferRequest{
		Source: s.bob(), Destination: s.alice(), Amount: usd(large), RequestId: uuid.NewString(),
	}
	_, err := within(ctx, s.transactions.Transfer, transfer)
	insufficient, err := refusalOf(err)
	if err != nil {
		return nil, err
	}
	_, err = within(ctx, s.transactions.Transfer, &walletv1.TransferRequest{
		Source: s.bob(), Destination: s.alice(), Amount: usd(0), RequestId: "1",
	})
	invalid, err := refusalOf(err)
	if err != nil {
		return nil, err
	}
	_, err = within(ctx, s.nameless.transactions.Transfer, transfer)
	unknown, err := refusalOf(err)
	if err != nil {
		return nil, err
	}
	return map[string]any{"insufficientFunds": insufficient, "invalidFields": invalid, "noToken": unknown}, nil
}

// replay sends a transfer twice, as a caller does that has not heard the first answer, and then misuses its id.
func (s *story) replay(ctx context.Context) (any, error) {
	requestID := uuid.NewString()
	first, err := s.transfer(ctx, 25, requestID)
	if err != nil {
		return nil, err
	}
	once, err := s.wallet(ctx, s.bob())
	if err != nil {
		return nil, err
	}
	again, err := s.transfer(ctx, 25, requestID)
	if err != nil {
		return nil, err
	}
	_, err = s.transfer(ctx, 26, requestID)
	reused, err := refusalOf(err)
	if err != nil {
		return nil, err
	}
	after, err := s.wallet(ctx, s.bob())
	if err != nil {
		return nil, err
	}
	s.made = append(s.made, first.GetTransaction().GetName())
	return map[string]any{
		"requestId": requestID,
		"names":     []string{first.GetTransaction().GetName(), again.GetTransaction().GetName()},
		"replayed":  []bool{first.GetReplayed(), again.GetReplayed()},
		"balances":  []string{units(once.GetBalance()), units(after.GetBalance())},
		"reused":    reused,
	}, nil
}

// pages makes some more transactions and lists all of them, three at a time.
func (s *story) pages(ctx context.Context) (any, error) {
	for amount := int64(1); amount <= 6; amount++ {
		transferred, err := s.transfer(ctx, amount, uuid.NewString())
		if err != nil {
			return nil, err
		}
		s.made = append(s.made, transferred.GetTransaction().GetName())
	}
	pages := [][]string{}
	request := &walletv1.ListTransactionsRequest{Wallet: s.alice(), PageSize: 3}
	for {
		page, err := within(ctx, s.transactions.ListTransactions, request)
		if err != nil {
			return nil, err
		}
		names := []string{}
		for _, transaction := range page.GetTransactions() {
			names = append(names, transaction.GetName())
		}
		pages = append(pages, names)
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return map[string]any{"made": s.made, "pages": pages}, nil
		}
	}
}

// stream exports a long statement to its end, and once more until it has seen enough.
func (s *story) stream(ctx context.Context, wallet string) (any, error) {
	request := &walletv1.ExportStatementRequest{
		Wallet:    wallet,
		StartTime: timestamppb.New(time.Unix(0, 0)),
		EndTime:   timestamppb.Now(),
	}
	lines, err := s.countLines(ctx, request)
	if err != nil {
		return nil, err
	}
	cancelled, err := s.cancelMidway(ctx, request)
	if err != nil {
		return nil, err
	}
	after, err := s.wallet(ctx, wallet)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"lines": lines, "cancelled": cancelled, "after": after.GetState().String(),
	}, nil
}

func (s *story) countLines(ctx context.Context, request *walletv1.ExportStatementRequest) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	export, err := s.transactions.ExportStatement(ctx, request)
	if err != nil {
		return 0, err
	}
	lines := 0
	for {
		part, err := export.Recv()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return 0, err
		}
		lines += bytes.Count(part.GetData(), []byte("\n"))
	}
}

// cancelMidway reads one part, cancels, and returns what the export ended with.
func (s *story) cancelMidway(ctx context.Context, request *walletv1.ExportStatementRequest) (codes.Code, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	export, err := s.transactions.ExportStatement(ctx, request)
	if err != nil {
		return codes.Unknown, err
	}
	if _, err := export.Recv(); err != nil {
		return codes.Unknown, err
	}
	cancel()
	for {
		if _, err := export.Recv(); errors.Is(err, io.EOF) {
			return codes.OK, nil
		} else if err != nil {
			return status.Code(err), nil
		}
	}
}

func (s *story) transfer(ctx context.Context, minorUnits int64, requestID string) (*walletv1.TransferResponse, error) {
	return within(ctx, s.transactions.Transfer, &walletv1.TransferRequest{
		Source: s.alice(), Destination: s.bob(), Amount: usd(minorUnits), RequestId: requestID,
	})
}

func (s *story) wallet(ctx context.Context, name string) (*walletv1.Wallet, error) {
	got, err := within(ctx, s.wallets.GetWallet, &walletv1.GetWalletRequest{Name: name})
	return got.GetWallet(), err
}

// watch receives all transactions of Alice's wallet, and once more of those after the third.
func (s *story) watch(ctx context.Context) (any, error) {
	received, _, err := s.eventsOf(ctx, &walletv1.WatchEventsRequest{FromStart: true}, len(s.made))
	if err != nil {
		return nil, err
	}
	third := received[2].GetResumeToken()
	resumed, cancelled, err := s.eventsOf(ctx, &walletv1.WatchEventsRequest{ResumeToken: third}, len(s.made)-3)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"made": s.made, "received": resources(received), "resumed": resources(resumed), "cancelled": cancelled,
	}, nil
}

// eventsOf watches until *count* events have come, cancels, and returns them and what the watch ended with.
func (s *story) eventsOf(
	ctx context.Context, request *walletv1.WatchEventsRequest, count int,
) ([]*walletv1.Event, codes.Code, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request.Wallet = s.alice()
	request.Types = []walletv1.Event_Type{walletv1.Event_TYPE_TRANSACTION_POSTED}
	watch, err := s.events.WatchEvents(ctx, request)
	if err != nil {
		return nil, codes.Unknown, err
	}
	var received []*walletv1.Event
	for len(received) < count {
		some, err := watch.Recv()
		if err != nil {
			return nil, codes.Unknown, err
		}
		received = append(received, some.GetEvents()...)
	}
	cancel()
	for {
		if _, err := watch.Recv(); err != nil {
			return received, status.Code(err), nil
		}
	}
}

func resources(events []*walletv1.Event) []string {
	var names []string
	for _, event := range events {
		names = append(names, event.GetResource())
	}
	return names
}
