package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// togetherBytes is up to how many bytes operations go together with the commit. More of them take a while, in which a
// commit that nobody breaks off must not be on its way; and one round trip is little beside them.
const togetherBytes = 64 << 10

// writeMany sends the operations alone, as COPY is given them.
func writeMany(ctx context.Context, conn *pgx.Conn, rows []byte) error {
	if _, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(rows), writeOperationsSQL); err != nil {
		return fmt.Errorf("write operations: %w", err)
	}
	return nil
}

// write sends the operations, as COPY is given them, and then the statements, all in one round trip. Rows are nil
// where there is no operation. The server leaves out all that is behind what failed. It returns the tag of the last statement.
//
// A batch of pgx holds no COPY. In a round trip of its own a COPY wakes everybody three times, and its text is
// read anew each time.
func write(ctx context.Context, conn *pgx.Conn, rows []byte, b *pgx.Batch) (tag string, err error) {
	messages, err := statements(ctx, conn, rows, b)
	if err != nil || len(messages) == 0 {
		return "", err
	}
	p := conn.PgConn().StartPipeline(ctx)
	if _, err := p.GetResults(); err != nil { // there are none yet, unless the context ended
		return "", err
	}
	for _, m := range messages {
		conn.PgConn().Frontend().Send(m)
	}
	if err := p.Sync(); err != nil {
		return "", err
	}
	n := b.Len()
	if rows != nil {
		n++
	}
	for i := 0; i < n && err == nil; i++ {
		if tag, err = awaitTag(conn); err != nil && i == 0 && rows != nil {
			err = fmt.Errorf("write operations: %w", err)
		}
	}
	var refused *pgconn.PgError
	if err != nil && !errors.As(err, &refused) {
		hangUp(conn)
		return "", errors.Join(ctx.Err(), err)
	}
	err = errors.Join(err, p.Close()) // it reads the end of the answer
	if refused != nil && isStale(refused) {
		hangUp(conn)
	}
	return tag, err
}

// hangUp closes the connection, and asks for nothing to be cancelled: a commit that waits for a standby would become
// visible without it.
func hangUp(conn *pgx.Conn) {
	ended, end := context.WithCancel(context.Background())
	end()
	_ = conn.PgConn().Close(ended) // whatever was to come does not any more
}

// isStale reports whether a statement may have failed for being prepared under another schema, or forgotten by the
// server. The next connection prepares it anew.
func isStale(e *pgconn.PgError) bool {
	switch e.Code {
	case "0A000", "26000", "42703", "42804": // a plan that does not fit, no such statement, a column that is another one now
		return true
	}
	return false
}

// statements are the messages of what is to be executed. The statements are prepared, if they were not yet.
func statements(ctx context.Context, conn *pgx.Conn, rows []byte, b *pgx.Batch) ([]pgproto3.FrontendMessage, error) {
	messages := make([]pgproto3.FrontendMessage, 0, 2*b.Len()+4)
	if rows != nil {
		s, err := conn.Prepare(ctx, writeOperationsSQL, writeOperationsSQL)
		if err != nil {
			return nil, err
		}
		messages = append(messages, &pgproto3.Bind{PreparedStatement: s.Name}, &pgproto3.Execute{}, &pgproto3.CopyData{Data: rows}, &pgproto3.CopyDone{})
	}
	for _, q := range b.QueuedQueries {
		s, err := conn.Prepare(ctx, q.SQL, q.SQL)
		if err != nil {
			return nil, err
		}
		var values pgx.ExtendedQueryBuilder
		if err := values.Build(conn.TypeMap(), s, q.Arguments); err != nil {
			return nil, err
		}
		messages = append(messages,
			&pgproto3.Bind{PreparedStatement: s.Name, Parameters: values.ParamValues, ParameterFormatCodes: values.ParamFormats}, &pgproto3.Execute{})
	}
	return messages, nil
}

// awaitTag waits until a statement is executed. Its rows, if there are any, are dropped.
func awaitTag(conn *pgx.Conn) (string, error) {
	for {
		m, err := conn.PgConn().Frontend().Receive()
		if err != nil {
			return "", err
		}
		switch m := m.(type) {
		case *pgproto3.CommandComplete:
			return string(m.CommandTag), nil
		case *pgproto3.ReadyForQuery:
			return "", errors.New("the server answered fewer statements than it was sent")
		case *pgproto3.ErrorResponse:
			e := pgconn.ErrorResponseToPgError(m)
			if seen := conn.Config().OnPgError; seen != nil {
				seen(conn.PgConn(), e)
			}
			return "", e
		}
	}
}
