package run

import (
	"time"

	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// Progress is how far a run is: what it does now, and what it has done. Who looks now and then misses no phase.
type Progress struct {
	RunID    string `json:"run_id,omitempty"`
	Target   string `json:"target,omitempty"` // schema.table
	Pipeline string `json:"pipeline,omitempty"`
	Phase    string `json:"phase"`           // empty when the run has ended
	Rows     int64  `json:"rows"`            // that have come from the source
	Bytes    int64  `json:"bytes"`           // of them, as they travel from another database
	Moved    int64  `json:"moved,omitempty"` // rows that have come from another database in this phase
	// TransactionSeconds is the age of the load's transaction, which holds its locks and keeps the server from vacuuming; 0 before it begins.
	TransactionSeconds float64 `json:"transaction_seconds,omitempty"`
	Phases             []Phase `json:"phases,omitempty"` // those that have ended, in their order
}

// Phase is a part of a run that has ended. One that is done again, after a conflict, is there again.
type Phase struct {
	Phase   string  `json:"phase"`
	Seconds float64 `json:"seconds"`
	Rows    int64   `json:"rows,omitempty"` // that came from another database in it
	Bytes   int64   `json:"bytes,omitempty"`
}

// watch keeps the progress of one run and tells of it.
type watch struct {
	tell        func(Progress)
	now         Progress
	entered     time.Time // into the phase
	transaction time.Time // zero outside of one
	moved       Phase     // rows and bytes of the phase
}

// enter ends the phase before and begins the next one; "" ends the last.
func (w *watch) enter(phase string, rows int64) {
	at := time.Now()
	if w.now.Phase != "" {
		w.moved.Phase, w.moved.Seconds = w.now.Phase, seconds(w.entered, at)
		w.now.Phases = append(w.now.Phases, w.moved) // who holds the list from before does not see it
	}
	w.now.Phase, w.now.Rows, w.entered, w.moved = phase, rows, at, Phase{}
	w.now.Moved = 0
	w.say(at)
}

// move tells how much of the rows of another database has come so far.
func (w *watch) move(rows, bytes int64) {
	w.now.Rows, w.now.Bytes = rows, bytes
	w.now.Moved, w.moved.Rows, w.moved.Bytes = rows, rows, bytes
	w.say(time.Now())
}

func (w *watch) say(at time.Time) {
	w.now.TransactionSeconds = 0
	if !w.transaction.IsZero() {
		w.now.TransactionSeconds = seconds(w.transaction, at)
	}
	w.tell(w.now)
}

func seconds(from, to time.Time) float64 { return to.Sub(from).Round(time.Microsecond).Seconds() }

// progress begins a phase of the run.
func (l *load) progress(phase string) { l.watch.enter(phase, l.counts[strategy.Staged]) }
