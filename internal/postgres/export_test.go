package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Pool is the connections as a service has them.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }
