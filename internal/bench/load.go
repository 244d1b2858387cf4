package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/monedero/monedero/internal/loadgen"
)

// loaded is what came of a load.
type loaded struct {
	Report loadgen.Report `json:"report"`
	Fault  string         `json:"fault,omitempty"`
}

// runLoad puts the loads that it is told on a running system, one after the other.
func runLoad(ctx context.Context, c *child) error {
	return obey(ctx, c, func(o loadgen.Options) (done loaded) {
		var err error
		if done.Report, err = loadgen.Run(ctx, o); err != nil {
			done.Fault = err.Error()
		}
		return done
	})
}

// load has the part put a load on a system, and waits until every charge of it has
// its outcome. It fails where one has another outcome than it must have, and not
// because some were refused or not sent.
func (p *part) load(ctx context.Context, o loadgen.Options) (loadgen.Report, error) {
	if err := p.tell(o); err != nil {
		return loadgen.Report{}, err
	}
	var done loaded
	if err := p.hear(ctx, &done); err != nil {
		return loadgen.Report{}, err
	}
	if done.Fault != "" {
		return loadgen.Report{}, errors.New(done.Fault)
	}
	if err := done.Report.Err(); errors.Is(err, loadgen.ErrViolations) {
		return loadgen.Report{}, fmt.Errorf("%w; first: %s", err, done.Report.Violations[0])
	}
	return done.Report, nil
}
