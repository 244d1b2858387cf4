package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/monedero/monedero/internal/processor"
)

// That a partition halts, or goes on, is written down within noteTimeout; that it
// goes on is tried again every noteEvery at most, since it settles meanwhile.
const (
	noteTimeout = 5 * time.Second
	noteEvery   = 5 * time.Second
)

// mostFenceWaits is how many times FenceWait a partition waits at most that is
// fenced again and again.
const mostFenceWaits = 8

var errFenced = errors.New("another owner has the partition")

// partition delivers one partition for as long as one generation assigns it to
// this member.
type partition struct {
	s         *subscription
	number    int
	claimer   processor.Claimer
	copies    *copies
	held      *held
	fetchSize int64 // bytes that a fetch asks for
	log       *slog.Logger

	shown                                    *lag
	halted, lastAck                          prometheus.Gauge
	claims, fences, fetchErrors, redelivered prometheus.Counter

	claimed   processor.Claim // the last one
	noted     string          // why the database says that the partition halts; empty: it does not
	notedAt   time.Time       // when that was tried last
	retry     backoff         // after errors of Kafka and the claimer
	claimedAt time.Time       // when it was tried last; of the first time, when the generation began
	fencedFor time.Duration   // the wait after the last fence
	trouble   string          // what was logged last and still holds
}

func newPartition(s *subscription, number int, copies *copies, fetchSize int64, began time.Time) *partition {
	label, m := strconv.Itoa(number), s.options.Metrics
	return &partition{
		s: s, number: number, claimer: s.options.Claimer, copies: copies, held: s.heldOf(number), fetchSize: fetchSize,
		log:   s.log.With("partition", number),
		shown: newLag(m.lag.WithLabelValues(label)), halted: m.halted.WithLabelValues(label), lastAck: m.lastAck.WithLabelValues(label),
		claims: m.claims.WithLabelValues(label), fences: m.fences.WithLabelValues(label),
		fetchErrors: m.fetchErrors.WithLabelValues(label), redelivered: m.redelivered.WithLabelValues(label),
		retry:     backoff{low: s.options.RetryMin, high: s.options.RetryMax},
		claimedAt: began,
	}
}

// run claims and delivers, again and again, until stop ends. Whatever goes wrong
// is tried again in place.
func (p *partition) run(stop context.Context) {
	defer p.s.options.Metrics.forget(p.number)
	for ; stop.Err() == nil; p.claimedAt = time.Now() {
		err := p.claimAndDeliver(stop)
		var halt *haltError
		switch {
		case stop.Err() != nil:
		case errors.Is(err, errFenced):
			p.fences.Inc()
			p.log.Warn("claim given up", "err", err)
			sleep(stop, p.fenceWait())
		case errors.As(err, &halt):
			p.halted.Set(1)
			if errors.Is(err, processor.ErrRestored) {
				// What this member knows must outlive it.
				p.copies.flush()
			}
			if p.isNew("halted", err) {
				p.log.Error("partition halted", "err", err)
			}
			p.note(stop, err.Error())
			sleep(stop, p.s.options.HaltRetry)
		default:
			if p.isNew("claim", err) {
				p.log.Warn("claim failed", "err", err)
			}
			sleep(stop, p.retry.next())
		}
	}
}

// fenceWait is how long to wait after a fence: longer each time, as long as no
// claim has lasted, so that two owners do not take the partition from each other
// all the time.
func (p *partition) fenceWait() time.Duration {
	least := p.s.options.FenceWait
	most := mostFenceWaits * least
	if time.Since(p.claimedAt) > 2*most {
		p.fencedFor = 0
	}
	p.fencedFor = min(max(2*p.fencedFor, least), most)
	return p.fencedFor
}

// isNew reports whether the trouble is another one than before: it is logged when
// it changes, not at each try.
func (p *partition) isNew(where string, err error) bool {
	trouble := where + ": " + err.Error()
	defer func() { p.trouble = trouble }()
	return trouble != p.trouble
}

// goesOn says that nothing is in the way: a message was acknowledged, or there is
// none to deliver. That the log could be read is not enough, for the handler may
// halt again at the same record.
func (p *partition) goesOn(stop context.Context) {
	p.halted.Set(0)
	if p.trouble != "" {
		p.trouble = ""
		p.log.Info("partition goes on")
	}
	if p.noted != "" && time.Since(p.notedAt) > noteEvery {
		p.note(stop, "")
	}
}

// note writes down why the partition halts; empty: that it does not. What fails is
// tried again: at the next halt, or a little later while it goes on.
func (p *partition) note(stop context.Context, cause string) {
	halts, can := p.claimer.(processor.Halts)
	if !can || cause == p.noted || p.claimed.Epoch == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(stop, noteTimeout)
	defer cancel()
	p.notedAt = time.Now()
	err := halts.NoteHalt(ctx, p.claimed, cause)
	switch {
	case err == nil:
		p.noted, p.notedAt = cause, time.Time{}
	case stop.Err() == nil && !errors.Is(err, processor.ErrFenced): // whoever has it now says how it is
		p.log.Warn("that the partition halts, or goes on, was not written down", "err", err)
	}
}

// claimAndDeliver claims the partition and delivers it until the claim ends: with errFenced,
// a haltError, or stop.
func (p *partition) claimAndDeliver(stop context.Context) error {
	claim, err := p.claim(stop)
	var unfinished *processor.UnfinishedMoveError
	if errors.Is(err, processor.ErrNoProgress) || errors.Is(err, processor.ErrRestored) || errors.As(err, &unfinished) {
		return &haltError{err}
	}
	if err != nil {
		return err
	}
	defer p.held.giveUp()
	p.claims.Inc()
	p.claimed, p.noted = claim, claim.Halt
	log := openLog(p.s.cluster, claim, p.fetchSize)
	log.looked, log.watches = p.claimedAt, p.s.watches
	defer log.close()
	reader := &prefetcher{log: log}
	defer reader.stop()
	from := claim.NextOffset
	for stop.Err() == nil {
		if err := p.holds(); err != nil {
			return err
		}
		found, err := reader.read(stop)
		end := log.end
		p.shown.set(from, end, log.trusted)
		var halt *haltError
		if errors.As(err, &halt) {
			return err
		}
		if err != nil {
			if stop.Err() == nil {
				p.fetchErrors.Inc()
				if p.isNew("fetch", err) {
					p.log.Warn("fetch failed", "err", err)
				}
				sleep(stop, p.retry.next())
			}
			continue
		}
		p.retry.reset()
		if from == end {
			p.goesOn(stop)
		}
		if found.to > from && found.to < end {
			reader.start(stop)
		}
		if from, err = p.deliver(stop, claim, from, found); err != nil {
			return err
		}
	}
	return stop.Err()
}

// holds fails with errFenced, or a haltError, when the claim is known not to hold any
// more.
func (p *partition) holds() error {
	err := p.held.isLost()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, processor.ErrFenced):
		return fmt.Errorf("%w: %w", errFenced, err)
	}
	return &haltError{err}
}

// claim claims the partition, unless its progress stands behind what this member
// settled, or what the one before it left in Kafka. Where Kafka does not say, the
// claim waits: nothing can be fetched either.
func (p *partition) claim(stop context.Context) (processor.Claim, error) {
	found, err := p.copies.known(stop, p.number)
	if err != nil {
		return processor.Claim{}, err
	}
	ctx, cancel := context.WithTimeout(stop, p.s.options.ClaimTimeout)
	defer cancel()
	claim, err := p.claimer.Claim(ctx, p.s.topic, p.number, p.held.know(found))
	if err != nil {
		return claim, err
	}
	p.held.claim(claim.Memory())
	p.copies.note(p.number, claim.Memory())
	return claim, nil
}

// deliver hands out what was fetched, in batches, each after the one before was
// acknowledged. It returns the offset that was reached.
func (p *partition) deliver(stop context.Context, claim processor.Claim, from int64, found fetched) (int64, error) {
	for from < found.to && stop.Err() == nil {
		batch := processor.Batch{Claim: claim, From: from, To: found.to, Records: found.records}
		if most := p.s.options.MaxRecords; len(batch.Records) > most {
			batch.Records, batch.To = batch.Records[:most:most], batch.Records[most-1].Offset+1
		}
		if err := p.finish(stop, batch); err != nil {
			return from, err
		}
		found.records, from = found.records[len(batch.Records):], batch.To
		p.acknowledged(stop, from)
	}
	return from, stop.Err()
}

func (p *partition) acknowledged(stop context.Context, next int64) {
	p.goesOn(stop)
	p.lastAck.SetToCurrentTime()
	p.shown.setPosition(next)
	p.copies.note(p.number, p.held.moved(next))
}

// finish hands the batch out until it is settled. It fails when stop ends first, or
// when the handler said that another time would be in vain.
func (p *partition) finish(stop context.Context, batch processor.Batch) error {
	wait := backoff{low: p.s.options.RetryMin, high: p.s.options.RetryMax}
	for {
		result, err := p.handOut(stop, batch)
		if err != nil {
			return err
		}
		switch result.Kind {
		case processor.ResultSettled:
			return nil
		case processor.ResultFenced:
			return fmt.Errorf("%w: %w", errFenced, result.Cause)
		case processor.ResultHalt:
			return &haltError{result.Cause}
		case processor.ResultAgain:
		}
		p.redelivered.Inc()
		if !sleep(stop, wait.next()) {
			return stop.Err()
		}
	}
}

// handOut delivers the batch once and waits for its end; after stop no longer
// than DrainTimeout, and then only to hear that it is settled.
func (p *partition) handOut(stop context.Context, batch processor.Batch) (processor.Result, error) {
	ctx, cancel := context.WithCancel(p.s.work)
	defer cancel()
	d := &delivery{batch: batch}
	msg := newMessage(ctx, d)
	select {
	case p.s.out <- msg:
	case <-stop.Done():
		return processor.Result{}, stop.Err()
	}
	if result, ended := d.wait(msg, stop.Done()); ended {
		return result, nil
	}
	drain, release := context.WithTimeout(context.WithoutCancel(stop), p.s.options.DrainTimeout)
	defer release()
	result, ended := d.wait(msg, drain.Done())
	switch {
	case !ended:
		return result, fmt.Errorf("the message was not finished in time: %w", stop.Err())
	case result.Kind != processor.ResultSettled:
		return result, stop.Err()
	}
	return result, nil
}
