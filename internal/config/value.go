package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxBatchSize is how many records one settle takes at most.
const maxBatchSize = 1000

// Brokers are addresses of Kafka brokers, host:port, at least one.
type Brokers []string

// UnmarshalText reads addresses separated by commas. Spaces around them are
// ignored.
func (b *Brokers) UnmarshalText(text []byte) error {
	var brokers Brokers
	for address := range strings.SplitSeq(string(text), ",") {
		address = strings.TrimSpace(address)
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || !isPort(port) || port == "0" {
			return fmt.Errorf("%q is not of the form host:port", address)
		}
		brokers = append(brokers, address)
	}
	*b = brokers
	return nil
}

// Addr is an address to listen on, host:port. Without a host it is every
// interface; port 0 is a free one. An empty one means not to listen.
type Addr string

// UnmarshalText reads an address.
func (a *Addr) UnmarshalText(text []byte) error {
	_, port, err := net.SplitHostPort(string(text))
	if err != nil || !isPort(port) {
		return fmt.Errorf("%q is not an address to listen on, such as :8080 or 127.0.0.1:8080", text)
	}
	*a = Addr(text)
	return nil
}

// APIURL is where the API is, without a path: http://host:port or https://host.
type APIURL string

// UnmarshalText reads a URL. Its error does not quote it: it may hold a password.
func (u *APIURL) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(string(text))
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" ||
		parsed.User != nil || strings.TrimSuffix(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.Fragment != "" {
		return errors.New("is not a URL of the form http://host:port, without a path")
	}
	*u = APIURL(strings.TrimSuffix(string(text), "/"))
	return nil
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// Topic is the name of a Kafka topic.
type Topic string

// topicName is what Kafka allows, but for the names . and .. .
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// UnmarshalText reads a name that Kafka allows.
func (t *Topic) UnmarshalText(text []byte) error {
	if name := string(text); !topicName.MatchString(name) || name == "." || name == ".." {
		return fmt.Errorf("%q is not the name of a topic: 1 to 249 of a-z, A-Z, 0-9, dot, underscore and hyphen", text)
	}
	*t = Topic(text)
	return nil
}

// GroupName is the name of a Kafka consumer group.
type GroupName string

// UnmarshalText reads a name without spaces at its ends.
func (g *GroupName) UnmarshalText(text []byte) error {
	if name := string(text); strings.TrimSpace(name) != name {
		return fmt.Errorf("%q begins or ends with a space", text)
	}
	*g = GroupName(text)
	return nil
}

// BatchSize is a number of records, 1 to 1000.
type BatchSize int

// UnmarshalText reads a number within the limits.
func (b *BatchSize) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > maxBatchSize {
		return fmt.Errorf("%q is not a number from 1 to %d", text, maxBatchSize)
	}
	*b = BatchSize(n)
	return nil
}

// Level is a slog.Leveler.
type Level slog.Level

// Level implements slog.Leveler.
func (l Level) Level() slog.Level { return slog.Level(l) }

// UnmarshalText reads one of four names, in any case.
func (l *Level) UnmarshalText(text []byte) error {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	level, ok := levels[strings.ToLower(string(text))]
	if !ok {
		return fmt.Errorf("%q is none of debug, info, warn and error", text)
	}
	*l = Level(level)
	return nil
}

// Format is how log lines are written: json or text.
type Format string

// UnmarshalText reads one of the two.
func (f *Format) UnmarshalText(text []byte) error {
	if name := string(text); name != "json" && name != "text" {
		return fmt.Errorf("%q is neither json nor text", text)
	}
	*f = Format(text)
	return nil
}

// Pause is a time that may be none.
type Pause time.Duration

// UnmarshalText reads a duration that is not negative.
func (p *Pause) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration, such as 5s or 0", text)
	}
	*p = Pause(d)
	return nil
}

// parseTimeout reads a duration above zero.
func parseTimeout(text string) (any, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return nil, fmt.Errorf("%q is not a duration above zero, such as 10s", text)
	}
	return d, nil
}
