package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	//go:embed queries/keys_used.sql
	keysUsedSQL string
)

// CreateClient inserts the client, or finds it; see [ingest.Registry].
func (s *Store) CreateClient(ctx context.Context, c ledger.Client) (ledger.Client, bool, error) {
	c.CreatedAt = micros(c.CreatedAt)
	made, err := s.create(ctx, createClientSQL, [16]byte(c.ID), c.Name, c.CreatedAt)
	if made || err != nil {
		return c, made, err
	}
	stored, err := s.client(ctx, c.ID)
	if err == nil && stored.Name != c.Name {
		err = ledger.ErrReused
	}
	return stored, false, err
}

// CreateMerchant inserts the merchant, or finds it; see [ingest.Registry].
// Whether it is suspended is no part of the comparison: that may have changed
// since.
func (s *Store) CreateMerchant(ctx context.Context, m ledger.Merchant) (ledger.Merchant, bool, error) {
	m.CreatedAt = micros(m.CreatedAt)
	made, err := s.create(ctx, createMerchantSQL, [16]byte(m.ID), idOrNull(m.Owner), m.Name, m.Suspended, m.CreatedAt)
	if made || err != nil {
		return m, made, err
	}
	stored, err := s.Merchant(ctx, m.ID)
	if err == nil && (stored.Name != m.Name || stored.Owner != m.Owner) {
		err = ledger.ErrReused
	}
	return stored, false, err
}

// CreateKey inserts the key, or finds it; see [ingest.Registry]. The secret is
// no part of the comparison, nor whether it was revoked since.
func (s *Store) CreateKey(ctx context.Context, k ledger.Key) (ledger.Key, bool, error) {
	k.CreatedAt, k.ExpiresAt, k.RevokedAt = micros(k.CreatedAt), micros(k.ExpiresAt), micros(k.RevokedAt)
	made, err := s.create(ctx, createKeySQL, [16]byte(k.ID), string(k.Role), idOrNull(k.Merchant()), idOrNull(k.Client()), k.Name,
		k.SecretHash[:], k.CreatedAt, orNull(k.ExpiresAt), orNull(k.RevokedAt), pgtype.Int4{Int32: int32(k.Rate), Valid: k.Rate != 0}) //nolint:gosec // bounded by the table
	if made || err != nil {
		return k, made, err
	}
	stored, err := s.Key(ctx, k.ID)
	if err == nil && (stored.Party != k.Party || stored.Name != k.Name || stored.Rate != k.Rate || !stored.ExpiresAt.Equal(k.ExpiresAt)) {
		err = ledger.ErrReused
	}
	return stored, false, err
}

// Merchant fails with [ledger.ErrNotFound].
func (s *Store) Merchant(ctx context.Context, id ledger.MerchantID) (ledger.Merchant, error) {
	ctx, end, err := s.reads.take(ctx)
	if err != nil {
		return ledger.Merchant{}, fmt.Errorf("read merchant: %w", err)
	}
	defer end()
	var m ledger.Merchant
	var owner pgtype.UUID
	err = s.pool.QueryRow(ctx, merchantSQL, [16]byte(id)).
		Scan((*[16]byte)(&m.ID), &owner, &m.Name, &m.Suspended, &m.CreatedAt)
	if err != nil {
		return ledger.Merchant{}, notFound("read merchant", err)
	}
	m.Owner, m.CreatedAt = owner.Bytes, m.CreatedAt.UTC()
	return m, nil
}

// Key fails with [ledger.ErrNotFound].
func (s *Store) Key(ctx context.Context, id ledger.KeyID) (ledger.Key, error) {
	var k ledger.Key
	var merchant, client pgtype.UUID
	var expires, revoked pgtype.Timestamptz
	var hash []byte
	var rate pgtype.Int4
	err := s.pool.QueryRow(ctx, keySQL, [16]byte(id)).
		Scan((*[16]byte)(&k.ID), (*string)(&k.Role), &merchant, &client, &k.Name, &hash, &k.CreatedAt, &expires, &revoked, &rate)
	if err != nil {
		return ledger.Key{}, notFound("read API key", err)
	}
	copy(k.SecretHash[:], hash)
	k.Rate = int(rate.Int32)
	k.Owner = merchant.Bytes
	if client.Valid {
		k.Owner = client.Bytes
	}
	k.CreatedAt, k.ExpiresAt, k.RevokedAt = k.CreatedAt.UTC(), utc(expires), utc(revoked)
	return k, nil
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

func (s *Store) client(ctx context.Context, id ledger.ClientID) (ledger.Client, error) {
	var c ledger.Client
	err := s.pool.QueryRow(ctx, clientSQL, [16]byte(id)).Scan((*[16]byte)(&c.ID), &c.Name, &c.CreatedAt)
	if err != nil {
		return ledger.Client{}, notFound("read client", err)
	}
	c.CreatedAt = c.CreatedAt.UTC()
	return c, nil
}

// create runs an insert that returns no row where there is one already.
func (s *Store) create(ctx context.Context, sql string, args ...any) (made bool, err error) {
	ctx, cancel := outlive(ctx)
	defer cancel()
	var id [16]byte
	switch err := s.pool.QueryRow(ctx, sql, args...).Scan(&id); {
	case err == nil:
		return true, nil
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case sqlState(err) == codeForeignKey:
		return false, ledger.ErrNotFound
	default:
		return false, fmt.Errorf("create: %w", err)
	}
}

// micros cuts a time to what the database keeps, so that what was made and what
// is found later are the same.
func micros(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}
