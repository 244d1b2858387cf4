package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/monedero/monedero/internal/ledger"
)

var (
	//go:embed queries/client.sql
	clientSQL string
	//go:embed queries/create_client.sql
	createClientSQL string
	//go:embed queries/merchant.sql
	merchantSQL string
	//go:embed queries/create_merchant.sql
	createMerchantSQL string
	//go:embed queries/key.sql
	keySQL string
	//go:embed queries/create_key.sql
	createKeySQL string
	//go:embed queries/lock_key.sql
	lockKeySQL string
	//go:embed queries/end_key.sql
	endKeySQL string
	//go:embed queries/suspend_merchant.sql
	suspendMerchantSQL string
	//go:embed queries/keys_used.sql
	keysUsedSQL string
)

// CreateClient inserts the client, or finds it; see [ingest.Registry].
func (s *Store) CreateClient(ctx context.Context, c ledger.Client, by ledger.Author) (ledger.Client, bool, error) {
	c.CreatedAt = micros(c.CreatedAt)
	change := ledger.Change{By: by, Action: ledger.ActionClientCreated, About: c.ID.String(), After: c.Facts()}
	made, err := s.create(ctx, change, createClientSQL, [16]byte(c.ID), c.Name, c.CreatedAt)
	if made || err != nil {
		return c, made, err
	}
	stored, err := s.Client(ctx, c.ID)
	if err == nil && stored.Name != c.Name {
		err = ledger.ErrReused
	}
	return stored, false, err
}

// CreateMerchant inserts the merchant, or finds it; see [ingest.Registry].
// Whether it is suspended is no part of the comparison: that may have changed
// since.
func (s *Store) CreateMerchant(ctx context.Context, m ledger.Merchant, by ledger.Author) (ledger.Merchant, bool, error) {
	m.CreatedAt = micros(m.CreatedAt)
	change := ledger.Change{By: by, Action: ledger.ActionMerchantCreated, About: m.ID.String(), After: m.Facts()}
	made, err := s.create(ctx, change, createMerchantSQL, [16]byte(m.ID), idOrNull(m.Owner), m.Name, m.Suspended, m.CreatedAt)
	if made || err != nil {
		return m, made, err
	}
	stored, err := s.Merchant(ctx, m.ID)
	if err == nil && (stored.Name != m.Name || stored.Owner != m.Owner) {
		err = ledger.ErrReused
	}
	return stored, false, err
}

// CreateKey inserts the key, or finds it; see [access.Registry]. The secret is
// no part of the comparison, nor whether it was revoked since.
func (s *Store) CreateKey(ctx context.Context, k ledger.Key, by ledger.Author) (ledger.Key, bool, error) {
	k.CreatedAt, k.ExpiresAt, k.RevokedAt = micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt)
	made, err := s.create(ctx, keyCreated(k, by), createKeySQL, keyArgs(k)...)
	if made || err != nil {
		return k, made, err
	}
	stored, err := s.Key(ctx, k.ID)
	if err == nil && (stored.Party != k.Party || stored.Name != k.Name || stored.Rate != k.Rate || !stored.ExpiresAt.Equal(k.ExpiresAt)) {
		err = ledger.ErrReused
	}
	return stored, false, err
}

// keyCreated is the change that makes the key.
func keyCreated(k ledger.Key, by ledger.Author) ledger.Change {
	return ledger.Change{By: by, Action: ledger.ActionKeyCreated, About: k.ID.String(), After: k.Facts()}
}

// keyArgs are the parameters of create_key.sql.
func keyArgs(k ledger.Key) []any {
	return []any{
		[16]byte(k.ID), string(k.Role), idOrNull(k.Merchant()), idOrNull(k.Client()), k.Name, k.SecretHash[:], k.CreatedAt,
		orNull(k.ExpiresAt), orNull(k.RevokedAt),
		pgtype.Int4{Int32: int32(k.Rate), Valid: k.Rate != 0}, //nolint:gosec // bounded by the table
	}
}

// RotateKey makes the key's successor and lets the key expire, in one transaction; see [access.Registry].
func (s *Store) RotateKey(
	ctx context.Context, id ledger.KeyID, next ledger.Key, overlap time.Duration, by ledger.Author,
) (stored ledger.Key, made bool, err error) {
	err = s.change(ctx, "rotate API key", func(ctx context.Context, tx pgx.Tx) error {
		old, err := scanKey(tx.QueryRow(ctx, lockKeySQL, [16]byte(id)))
		if err != nil {
			return err
		}
		next.Party, next.Name, next.Rate = old.Party, old.Name, old.Rate
		next.CreatedAt, next.ExpiresAt = micros(next.CreatedAt), old.ExpiresAt
		// A retry comes when the old key has expired, too.
		if made, err = insert(ctx, tx, keyCreated(next, by), createKeySQL, keyArgs(next)...); err != nil || !made {
			return err
		}
		ended := old
		if end := micros(next.CreatedAt.Add(overlap)); old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt) {
			ended.ExpiresAt = end
		}
		if old.Ended(next.CreatedAt) {
			return ledger.ErrEnded
		}
		after := ended.Facts()
		after["successor"] = next.ID.String()
		return endKey(ctx, tx, ended, ledger.Change{By: by, Action: ledger.ActionKeyRotated, About: id.String(), Before: old.Facts(), After: after})
	})
	if made || err != nil {
		return next, made, err
	}
	if stored, err = s.Key(ctx, next.ID); err == nil && (stored.Party != next.Party || stored.Name != next.Name || stored.Rate != next.Rate) {
		err = ledger.ErrReused
	}
	return stored, false, err
}

// RevokeKey ends the key for good; see [access.Registry].
func (s *Store) RevokeKey(ctx context.Context, id ledger.KeyID, at time.Time, by ledger.Author) (k ledger.Key, err error) {
	err = s.change(ctx, "revoke API key", func(ctx context.Context, tx pgx.Tx) error {
		old, err := scanKey(tx.QueryRow(ctx, lockKeySQL, [16]byte(id)))
		if k = old; err != nil || !old.RevokedAt.IsZero() {
			return err
		}
		k.RevokedAt = micros(at)
		return endKey(ctx, tx, k, ledger.Change{By: by, Action: ledger.ActionKeyRevoked, About: id.String(), Before: old.Facts(), After: k.Facts()})
	})
	return k, err
}

// endKey writes when the key expires and when it was revoked.
func endKey(ctx context.Context, tx pgx.Tx, k ledger.Key, c ledger.Change) error {
	if _, err := tx.Exec(ctx, endKeySQL, [16]byte(k.ID), orNull(k.ExpiresAt), orNull(k.RevokedAt)); err != nil {
		return err
	}
	return recordChange(ctx, tx, noPartition, c)
}

// Suspend suspends or resumes the merchant; see [ingest.Registry]. A settle that read it
// before decides by what it read.
func (s *Store) Suspend(ctx context.Context, id ledger.MerchantID, suspended bool, by ledger.Author) (m ledger.Merchant, err error) {
	action := ledger.ActionMerchantResumed
	if suspended {
		action = ledger.ActionMerchantSuspended
	}
	state := func(suspended bool) ledger.Facts { return ledger.Facts{"suspended": strconv.FormatBool(suspended)} }
	err = s.change(ctx, "suspend merchant", func(ctx context.Context, tx pgx.Tx) error {
		changed, err := tx.Exec(ctx, suspendMerchantSQL, [16]byte(id), suspended)
		if err == nil && changed.RowsAffected() == 1 {
			err = recordChange(ctx, tx, noPartition, ledger.Change{
				By: by, Action: action, About: id.String(), Before: state(!suspended), After: state(suspended),
			})
		}
		return err
	})
	if err != nil {
		return ledger.Merchant{}, err
	}
	return s.Merchant(ctx, id)
}

// Merchant fails with [ledger.ErrNotFound].
func (s *Store) Merchant(ctx context.Context, id ledger.MerchantID) (ledger.Merchant, error) {
	ctx, end, err := s.reads.take(ctx)
	if err != nil {
		return ledger.Merchant{}, fmt.Errorf("read merchant: %w", err)
	}
	defer end()
	m, err := scanMerchant(s.pool.QueryRow(ctx, merchantSQL, [16]byte(id)))
	if err != nil {
		return ledger.Merchant{}, notFound("read merchant", err)
	}
	return m, nil
}

func scanMerchant(row pgx.Row) (m ledger.Merchant, err error) {
	var owner pgtype.UUID
	err = row.Scan((*[16]byte)(&m.ID), &owner, &m.Name, &m.Suspended, &m.CreatedAt)
	m.Owner, m.CreatedAt = owner.Bytes, m.CreatedAt.UTC()
	return m, err
}

// Key fails with [ledger.ErrNotFound].
func (s *Store) Key(ctx context.Context, id ledger.KeyID) (ledger.Key, error) {
	k, err := scanKey(s.pool.QueryRow(ctx, keySQL, [16]byte(id)))
	if err != nil {
		return ledger.Key{}, notFound("read API key", err)
	}
	return k, nil
}

func scanKey(row pgx.Row) (k ledger.Key, err error) {
	var merchant, client pgtype.UUID
	var expires, revoked, used pgtype.Timestamptz
	var hash []byte
	var rate pgtype.Int4
	err = row.Scan((*[16]byte)(&k.ID), (*string)(&k.Role), &merchant, &client, &k.Name, &hash, &k.CreatedAt, &expires, &revoked, &used, &rate)
	copy(k.SecretHash[:], hash)
	k.Rate = int(rate.Int32)
	k.Owner = merchant.Bytes
	if client.Valid {
		k.Owner = client.Bytes
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt, k.UsedAt = k.CreatedAt.UTC(), utc(expires), utc(revoked), utc(used)
	return k, err
}

// Used notes when keys were last used. Keys that do not exist are passed over.
func (s *Store) Used(ctx context.Context, at map[ledger.KeyID]time.Time) error {
	if len(at) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(at), func(a, b ledger.KeyID) int { return bytes.Compare(a[:], b[:]) })
	times := make([]time.Time, len(keys))
	for i, id := range keys {
		times[i] = at[id]
	}
	if _, err := s.pool.Exec(ctx, keysUsedSQL, ids(keys), times); err != nil {
		return fmt.Errorf("note use of API keys: %w", err)
	}
	return nil
}

// Client fails with [ledger.ErrNotFound].
func (s *Store) Client(ctx context.Context, id ledger.ClientID) (ledger.Client, error) {
	c, err := scanClient(s.pool.QueryRow(ctx, clientSQL, [16]byte(id)))
	if err != nil {
		return ledger.Client{}, notFound("read client", err)
	}
	return c, nil
}

func scanClient(row pgx.Row) (c ledger.Client, err error) {
	err = row.Scan((*[16]byte)(&c.ID), &c.Name, &c.CreatedAt)
	c.CreatedAt = c.CreatedAt.UTC()
	return c, err
}

// change runs do in one transaction. It fails with [ledger.ErrNotFound] where do finds no row.
func (s *Store) change(ctx context.Context, doing string, do func(context.Context, pgx.Tx) error) error {
	ctx, cancel := outlive(ctx)
	defer cancel()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return do(ctx, tx) })
	switch {
	case err == nil, errors.Is(err, ledger.ErrEnded):
		return err
	case sqlState(err) == codeForeignKey:
		return ledger.ErrNotFound
	}
	return notFound(doing, err)
}

// create makes what the change creates, unless it is there already.
func (s *Store) create(ctx context.Context, c ledger.Change, sql string, args ...any) (made bool, err error) {
	err = s.change(ctx, "create", func(ctx context.Context, tx pgx.Tx) (err error) {
		made, err = insert(ctx, tx, c, sql, args...)
		return err
	})
	return made, err
}

// insert runs an insert that returns no row where there is one already, and else writes the
// change down.
func insert(ctx context.Context, tx pgx.Tx, c ledger.Change, sql string, args ...any) (made bool, err error) {
	var id [16]byte
	err = tx.QueryRow(ctx, sql, args...).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, recordChange(ctx, tx, noPartition, c)
}

// micros cuts a time to what the database keeps, so that what was made and what
// is found later are the same.
func micros(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}
