package config

import (
	"errors"
	"fmt"
	"log/slog"
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
