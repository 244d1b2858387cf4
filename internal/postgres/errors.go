package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/monedero/monedero/internal/processor"
)

// The SQLSTATEs and classes that mean something of their own. Everything else,
// with or without SQLSTATE, is trouble of the machinery.
const (
	classData              = "22"
	classIntegrity         = "23"
	codeForeignKey         = "23503"
	codeUnique             = "23505"
	classConnection        = "08"
	codeTooManyConnections = "53300"
	codeAdminShutdown      = "57P01"
	codeCrashShutdown      = "57P02"
	codeCannotConnectNow   = "57P03"
	codeReadOnly           = "25006"
	codeParameterValue     = "22023" // of connecting: there is no such role
	codePrivilege          = "42501"
	codeUndefinedTable     = "42P01"
	codeLockTimeout        = "55P03"
)

// ErrNotMigrated says that the service's role or its tables are not there.
var ErrNotMigrated = errors.New("the database is not migrated")

// sqlState is the error's SQLSTATE; empty if it did not come from the server.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// sqlMessage is what the server said; empty if it said nothing.
func sqlMessage(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}

// classified tells the data's fault (class 22) and broken rules (class 23) from
// trouble of the machinery. It is meant for errors of statements, not of
// connecting: there class 22 speaks of settings.
func classified(err error) error {
	switch state := sqlState(err); {
	case strings.HasPrefix(state, classData):
		return fmt.Errorf("%w: %w", processor.ErrData, err)
	case strings.HasPrefix(state, classIntegrity):
		return fmt.Errorf("%w: %w", processor.ErrIntegrity, err)
	}
	return err
}

// unmigrated reports whether connecting failed for want of what the migrations
// make. The role is the whole cluster's, so it may be there without its rights.
// To be refused the role itself is another matter: the login is no member of it.
func unmigrated(err error) bool {
	switch sqlState(err) {
	case codeParameterValue, codeUndefinedTable:
		return true
	case codePrivilege:
		return !connecting(err)
	}
	return false
}

// connecting reports whether it was the connection that failed, and not a statement.
func connecting(err error) bool {
	var e *pgconn.ConnectError
	return errors.As(err, &e)
}

// wrongSession reports whether a server that answers so is none to go on with: it
// refuses writes, or is shutting down.
func wrongSession(state string) bool {
	switch state {
	case codeReadOnly, codeAdminShutdown, codeCrashShutdown, codeCannotConnectNow:
		return true
	}
	return false
}

// unreachable reports whether to try again may help to connect.
func unreachable(err error) bool {
	if errors.Is(err, ErrUnsafe) || errors.Is(err, ErrSchema) {
		return false
	}
	switch state := sqlState(err); state {
	case "":
		return connecting(err) || pgconn.SafeToRetry(err)
	case codeTooManyConnections, codeAdminShutdown, codeCrashShutdown, codeCannotConnectNow:
		return true
	default:
		return strings.HasPrefix(state, classConnection)
	}
}
