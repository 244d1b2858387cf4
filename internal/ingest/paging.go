package ingest

import (
	"context"
	"fmt"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/negotiation"
)

// Listed are the parameters of a list that comes in pages, and what it keeps of its request besides.
type Listed struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"200" doc:"How many to show at most. A page may show fewer, or none, though has_more is true." example:"50"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before. It goes with the same filters only." example:"go5N2iWTqFJvXfPvbTwGDoHKZKCSt8WBKuIApE0MLybW3a6q_BEcrEIZPeQ7UB0MCfojkXBAMAxoJWbMbwQ-NJGoDG_5rkNk-MoM_g"`

	asked url.URL
	csv   bool // whether the caller prefers it to JSON
}

// Resolve keeps what is no parameter of the request; huma calls it.
func (l *Listed) Resolve(c huma.Context) []error {
	l.asked = c.URL()
	l.csv = negotiation.SelectQValue(c.Header("Accept"), []string{"application/json", csvType}) == csvType
	return nil
}

// link says where the next page is (RFC 8288); empty where there is none.
func (l *Listed) link(next string) string {
	if next == "" {
		return ""
	}
	query := l.asked.Query()
	query.Set("cursor", next)
	return "<" + (&url.URL{Path: l.asked.Path, RawQuery: query.Encode()}).String() + `>; rel="next"`
}

// listOutput is a page of a list.
type listOutput[B any] struct {
	Link string `header:"Link" doc:"Where the next page is, with rel=next; absent: this is the last one (RFC 8288)." example:"</v1/operations?cursor=rVj45R_YF2Y84ThT9NVywISpygYUeVE6hj-wAV9WBFlQvI-iQV2DTrVVGQsjFrC0CJiKoncY-fhO2ZvU8jUaMH91Fo7xmVTagr__Ow>; rel=next"`
	Body B
}

// listOf reads a page of the list of the name, shows each of it, and says where the next
// one begins.
func listOf[T, B any](
	ctx context.Context, s *Server, in Listed, name []string, read func(context.Context, int, *Cursor) ([]T, *Cursor, error), show func(T) B,
) (data []B, next string, err error) {
	cursors, err := cursorsOf(s.minter, name...)
	if err != nil {
		return nil, "", err
	}
	after, err := cursors.parse(in.Cursor)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	list, more, err := read(ctx, in.Limit, after)
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", name[0], err)
	}
	data = make([]B, 0, len(list))
	for _, x := range list {
		data = append(data, show(x))
	}
	return data, cursors.text(more), nil
}
