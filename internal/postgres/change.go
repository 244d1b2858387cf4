package postgres

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/repair"
)

var (
	//go:embed queries/record_change.sql
	recordChangeSQL string
	//go:embed queries/changes.sql
	changesSQL string
	//go:embed queries/changes_about.sql
	changesAboutSQL string
)

// noPartition is the chain of the changes that are of no partition.
const noPartition = -1

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// recordChange writes the change down at the end of the partition's chain, in the
// transaction that makes it. The chain is locked until that one ends.
func recordChange(ctx context.Context, q execer, partition int, c ledger.Change) error {
	optional := func(text string) pgtype.Text { return pgtype.Text{String: text, Valid: text != ""} }
	before, err := encodeFacts(c.Before)
	if err != nil {
		return err
	}
	after, err := encodeFacts(c.After)
	if err != nil {
		return err
	}
	if _, err := q.Exec(ctx, recordChangeSQL, partition, string(c.By.Role), idOrNull(c.By.Owner), idOrNull(c.By.Key), optional(c.By.Person),
		optional(c.By.Reason), optional(c.By.RequestID), string(c.Action), c.About, idOrNull(c.Operation), before, after); err != nil {
		return fmt.Errorf("record the change: %w", err)
	}
	return nil
}

// encodeFacts is the facts as JSON; null for none.
func encodeFacts(f ledger.Facts) (pgtype.Text, error) {
	if f == nil {
		return pgtype.Text{}, nil
	}
	text, err := json.Marshal(f)
	if err != nil {
		return pgtype.Text{}, fmt.Errorf("record the change: %w", err)
	}
	return pgtype.Text{String: string(text), Valid: true}, nil
}

// recordDeploymentChange writes down what is changed of the deployment, in the
// transaction that changes it.
func recordDeploymentChange(ctx context.Context, tx pgx.Tx, what string, from, to any, by, reason string) error {
	return recordChange(ctx, tx, noPartition, ledger.Change{
		By: ledger.Person(by, reason), Action: ledger.ActionDeploymentChanged, About: what,
		Before: ledger.Facts{"value": fmt.Sprint(from)}, After: ledger.Facts{"value": fmt.Sprint(to)},
	})
}

// recordProgressSet writes down that a person moved a progress, or let it go on, in the
// transaction that does so. Another goal than where it stands now is still to be reached.
func recordProgressSet(ctx context.Context, q execer, partition int, m repair.Moved, goal int64, by ledger.Author) error {
	place := func(p ledger.Place) ledger.Facts {
		return ledger.Facts{"log": strconv.Itoa(int(p.Log)), "offset": strconv.FormatInt(p.Offset, 10)}
	}
	after := place(m.To)
	after["epoch"] = strconv.FormatInt(m.Epoch, 10)
	after["failed"], after["dead"] = strconv.FormatInt(m.Failed, 10), strconv.FormatInt(m.Dead, 10)
	if goal != m.To.Offset {
		after["goal"] = strconv.FormatInt(goal, 10)
	}
	c := ledger.Change{By: by, Action: ledger.ActionProgressSet, About: "partition " + strconv.Itoa(partition), After: after}
	if !m.Made {
		c.Before = place(m.From)
	}
	return recordChange(ctx, q, partition, c)
}

// changes is a page of what people changed, newest first.
func (s *Store) changes(ctx context.Context, f ingest.AuditFilter) (*auditSource, error) {
	sql, more := changesSQL, []any(nil)
	if f.About != "" {
		sql, more = changesAboutSQL, []any{f.About}
	}
	list, next, err := newestFirst(ctx, s, sql, more, f.Limit, f.After, scanChange, func(c ledger.Change) (time.Time, [16]byte) { return c.At, c.ID })
	source := &auditSource{more: next != nil}
	for i := range list {
		source.lines = append(source.lines, auditLine{at: list[i].At, id: list[i].ID, entry: ingest.AuditEntry{Change: &list[i]}})
	}
	return source, err
}

func scanChange(row pgx.Row) (ledger.Change, error) {
	var c ledger.Change
	var owner, key, operation pgtype.UUID
	var person, reason, request pgtype.Text
	var at time.Time
	err := row.Scan((*[16]byte)(&c.ID), &at, (*string)(&c.By.Role), &owner, &key, &person, &reason, &request, &c.Login,
		(*string)(&c.Action), &c.About, &operation, &c.Before, &c.After)
	c.At, c.By.Owner, c.By.Key, c.Operation = at.UTC(), owner.Bytes, key.Bytes, operation.Bytes
	c.By.Person, c.By.Reason, c.By.RequestID = person.String, reason.String, request.String
	return c, err
}
