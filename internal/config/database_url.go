package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// DatabaseURL is where Postgres is. It shows itself without the password.
type DatabaseURL struct {
	text *string // see Secret
}

// Reveal returns the whole URL, with the password.
func (u DatabaseURL) Reveal() string {
	if u.text == nil {
		return ""
	}
	return *u.text
}

// String is the URL without passwords, and without parameters, which may hold one.
func (u DatabaseURL) String() string {
	parsed, err := url.Parse(u.Reveal())
	if err != nil {
		return redacted
	}
	if parsed.RawQuery != "" {
		parsed.RawQuery = redacted
	}
	return parsed.Redacted()
}

// GoString is what %#v prints.
func (u DatabaseURL) GoString() string { return u.String() }

// MarshalText is what encoders write.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue is what slog writes.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

var (
	errNotDatabaseURL = errors.New("is not a URL of the form postgres://user:password@host:port/database (special characters percent-encoded)")
	errUnescaped      = errors.New("has an @, /, ? or # where none can be: in a user or a password escape it, as %40, %2F, %3F or %23")
)

// UnmarshalText takes a URL with the scheme postgres or postgresql that means the
// same to everybody who reads it. Its error does not quote it.
func (u *DatabaseURL) UnmarshalText(text []byte) error {
	if err := checkDatabaseURL(string(text)); err != nil {
		return err
	}
	u.text = new(string(text))
	return nil
}

func checkDatabaseURL(text string) error {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || scheme != "postgres" && scheme != "postgresql" {
		return errNotDatabaseURL
	}
	// A password with one of these would be cut, and its end taken for a host or a
	// database, which logs show.
	user, rest, found := strings.Cut(rest, "@")
	if !found {
		user, rest = "", user
	}
	address, _, _ := strings.Cut(rest, "?")
	if strings.ContainsAny(user, "/?#") || strings.ContainsAny(rest, "@#") || strings.Count(address, "/") > 1 {
		return errUnescaped
	}
	// What is wrong with it could be read from the errors, but so could the password.
	parsed, err := url.Parse(text)
	if err != nil {
		return errNotDatabaseURL
	}
	if _, err := pgconn.ParseConfig(text); err != nil {
		return parameterFault(parsed)
	}
	return nil
}

// parameterFault names the parameter without which the URL could be used.
func parameterFault(u *url.URL) error {
	for _, name := range slices.Sorted(maps.Keys(u.Query())) {
		only := *u
		only.RawQuery = url.Values{name: u.Query()[name]}.Encode()
		_, err := pgconn.ParseConfig(only.String())
		var file *fs.PathError
		switch {
		case errors.As(err, &file):
			return fmt.Errorf("has a parameter %s whose file cannot be read: %w", name, file)
		case err != nil && name == "sslmode":
			return errors.New("has an sslmode that is none of disable, allow, prefer, require, verify-ca and verify-full")
		case err != nil:
			return fmt.Errorf("has a parameter %s with a value that it cannot have", name)
		}
	}
	return errNotDatabaseURL
}
