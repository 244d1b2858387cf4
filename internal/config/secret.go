package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// minSecret is the length of the shortest secret, in bytes.
const minSecret = 32

const redacted = "REDACTED"

// Secret is a text that no log, message or dump shows.
type Secret struct {
	text *string // a pointer, so that not even printing the fields shows it
}

// Reveal returns the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String, GoString, MarshalText and LogValue show that there is a secret, not
// which.
func (s Secret) String() string { return redacted }

// GoString is what %#v prints.
func (s Secret) GoString() string { return redacted }

// MarshalText is what encoders write.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is what slog writes.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// UnmarshalText takes any text of at least 32 bytes, as it is.
func (s *Secret) UnmarshalText(text []byte) error {
	if len(text) < minSecret {
		return fmt.Errorf("has %d bytes, at least %d are needed", len(text), minSecret)
	}
	s.text = new(string(text))
	return nil
}

// OperatorKey is an API key of the role operator. It shows itself as a Secret does.
type OperatorKey struct{ Secret }

// UnmarshalText takes what looks like such a key. Its error does not quote it.
func (k *OperatorKey) UnmarshalText(text []byte) error {
	if !strings.HasPrefix(string(text), "mon_operator_") {
		return errors.New("is not an API key of the role operator (mon_operator_...)")
	}
	k.text = new(string(text))
	return nil
}

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

var errNotDatabaseURL = errors.New("is not a URL of the form postgres://user:password@host:port/database (special characters percent-encoded)")

// UnmarshalText takes a URL with the scheme postgres or postgresql. Its error does
// not quote it.
func (u *DatabaseURL) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(string(text))
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" || parsed.Opaque != "" {
		// What is wrong with it could be read from err, but so could the password.
		return errNotDatabaseURL
	}
	u.text = new(string(text))
	return nil
}
