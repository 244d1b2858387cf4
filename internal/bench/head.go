package bench

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Head says on what a run measured.
type Head struct {
	Cores    int       `json:"cores"`
	System   string    `json:"system"`
	Go       string    `json:"go"`
	Postgres string    `json:"postgres"`
	Settings []Setting `json:"settings"`
	Kafka    string    `json:"kafka"`
	Form     string    `json:"form,omitempty"` // quick or full; empty: of curves
}

// Setting is one of Postgres's.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// The settings that a head names. Those of the first group must not be off: without
// them Postgres is fast because it may lose what it committed.
const (
	fsync             = "fsync"
	synchronousCommit = "synchronous_commit"
	fullPageWrites    = "full_page_writes"
)

func namedSettings() []string {
	return []string{
		fsync, synchronousCommit, fullPageWrites, "shared_buffers", "max_wal_size", "checkpoint_timeout", "wal_compression",
	}
}

func (h Head) lines() []string {
	settings := make([]string, len(h.Settings))
	for i, s := range h.Settings {
		settings[i] = s.Name + "=" + s.Value
	}
	return []string{
		fmt.Sprintf("monedero bench, %s form, on %d cores (%s), %s", h.Form, h.Cores, h.System, h.Go),
		"PostgreSQL " + h.Postgres + ": " + strings.Join(settings, " "),
		"Kafka: " + h.Kafka,
	}
}

// readHead describes machine and database.
func readHead(ctx context.Context, conn *pgx.Conn, kafka string, quick bool) (Head, error) {
	h := Head{
		Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Kafka: kafka, Form: "full",
	}
	if quick {
		h.Form = "quick"
	}
	if err := conn.QueryRow(ctx, "show server_version").Scan(&h.Postgres); err != nil {
		return Head{}, fmt.Errorf("read version of postgres: %w", err)
	}
	for _, name := range namedSettings() {
		s := Setting{Name: name}
		if err := conn.QueryRow(ctx, "select current_setting($1)", name).Scan(&s.Value); err != nil {
			return Head{}, fmt.Errorf("read setting %s: %w", name, err)
		}
		h.Settings = append(h.Settings, s)
	}
	return h, h.check()
}

// check refuses a Postgres that is fast because it may lose what it committed.
func (h Head) check() error {
	for _, s := range h.Settings {
		switch s.Name {
		case fsync, synchronousCommit, fullPageWrites:
			if s.Value == "off" {
				return fmt.Errorf("%s is off in this Postgres: figures would be of one that may lose what it committed", s.Name)
			}
		}
	}
	return nil
}
