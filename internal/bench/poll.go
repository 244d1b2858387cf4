package bench

import (
	"context"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	// polledCharges is how many operations are decided before they are polled for.
	polledCharges = 20_000
	// pollRequests is how many of them the callers ask for, in turn.
	pollRequests = 2_000
)

func pollRow() Row {
	return Row{
		Name: "poll",
		What: fmt.Sprintf("reads a second of decided charges by %d callers, against a bare chi handler that reads the same single row with pgx",
			submitCallers),
		Unit: "requests/s",
		Goal: ratioAtLeast(0.80),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			a, err := r.poll(ctx, submitCallers)
			if err != nil {
				return Figures{}, err
			}
			return a.figures(), nil
		},
	}
}

// poll measures the rounds for so many callers.
func (r *run) poll(ctx context.Context, callers int) (*answered, error) {
	return onCopy(ctx, r, scale{partitions: 8, wallets: 1_000, charges: polledCharges}, func(w *world, d *database) (*answered, error) {
		if err := r.settleAll(ctx, w, d, w.before+w.tally.charges); err != nil {
			return nil, err
		}
		requests, err := r.polls(ctx, d)
		if err != nil {
			return nil, err
		}
		return r.answer(ctx, w, d, calls{
			Callers: callers, For: r.callFor(), Requests: requests, Status: http.StatusOK, Final: true,
		})
	})
}

// polls read decided charges, as the operator.
func (r *run) polls(ctx context.Context, d *database) ([]string, error) {
	key, err := r.operatorKey(ctx, d)
	if err != nil {
		return nil, err
	}
	var requests []string
	err = r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select id from operations where kind = 'charge' limit $1", pollRequests)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
		for _, id := range ids {
			requests = append(requests, getOperation(ledger.OperationID(id).String(), key, ""))
		}
		return err
	})
	return requests, err
}

// getOperation is the request for an operation, with more headers, each ended by
// a new line.
func getOperation(id, key, more string) string {
	return fmt.Sprintf("GET /v1/operations/%s HTTP/1.1\r\nHost: monedero\r\nAuthorization: Bearer %s\r\n%s\r\n", id, key, more)
}
