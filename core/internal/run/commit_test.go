package run

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What ends the session does not say what became of the commit: the run's own history row is asked then.
func TestOnlyAnErrorThatKeepsTheSessionMeansRolledBack(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"deferred constraint", &pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "23503"}, true},
		{"serialization", &pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "40001"}, true},
		{"failed transaction", pgx.ErrTxCommitRollback, true},
		{"administrator", &pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P01"}, false},
		{"pooler", &pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "08P01"}, false},
		{"cancelled while waiting for a standby", &pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "57014"}, false},
		{"network", errors.New("unexpected EOF"), false},
	} {
		if got := rolledBack(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
