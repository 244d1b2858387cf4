// Package migrations embeds the steps that make and change the database's
// schema. They are run by goose in the order of their numbers, each in one
// transaction, and never edited once released. schema.sql is what they add up
// to, for people; a test compares the two.
package migrations

import (
	"embed"
	"io/fs"
	"strconv"
	"strings"
)

// FS holds the migrations.
//
//go:embed 0*.sql
var FS embed.FS

// Latest is the number of the last migration: the version of the schema that this
// program needs.
func Latest() int64 {
	files, _ := fs.Glob(FS, "*.sql") // it fails on a bad pattern alone
	var latest int64
	for _, file := range files {
		number, _, _ := strings.Cut(file, "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			latest = max(latest, n)
		}
	}
	return latest
}
