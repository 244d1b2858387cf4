// Package migrations embeds the steps that make and change the database's
// schema. They are run by goose in the order of their numbers, each in one
// transaction, and never edited once released. schema.sql is what they add up
// to, for people; a test compares the two.
package migrations

import "embed"

// FS holds the migrations.
//
//go:embed 0*.sql
var FS embed.FS
