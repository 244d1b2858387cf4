// Package access knows API keys: how their text is made and read, which of them are good, and
// when they were last used. It keeps what it knows of a key in memory, so that a request costs no query.
package access
