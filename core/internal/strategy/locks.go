package strategy

import (
	"slices"
	"strings"
)

// LockMode is a mode of locks on tables, as PostgreSQL names it.
// https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
type LockMode string

// The modes that statements of loads take, the weakest first.
const (
	AccessShare       LockMode = "ACCESS SHARE"
	RowExclusive      LockMode = "ROW EXCLUSIVE"
	Share             LockMode = "SHARE"
	ShareRowExclusive LockMode = "SHARE ROW EXCLUSIVE"
	AccessExclusive   LockMode = "ACCESS EXCLUSIVE"
)

// Strength orders the modes: what a stronger one lets pass a weaker one does too.
func (m LockMode) Strength() int {
	return slices.Index([]LockMode{AccessShare, RowExclusive, Share, ShareRowExclusive, AccessExclusive}, m)
}

// Lock is the strongest lock that a statement takes on a relation, and keeps until the end of its transaction.
type Lock struct {
	Relation string   `json:"relation"`
	Mode     LockMode `json:"mode"`
}

// OfTheQuery stands for the relations that the user's query reads: only the server knows them.
const OfTheQuery = "relations of the query"

// taken are the modes by the words that stand before the name of a table in statements of ours.
var taken = []struct {
	words string
	mode  LockMode
}{
	{"ALTER TABLE ", AccessExclusive}, {"CREATE TABLE ", AccessExclusive}, {"TRUNCATE TABLE ", AccessExclusive}, {"INDEX ON ", Share},
	{"INSERT INTO ", RowExclusive}, {"UPDATE ", RowExclusive}, {"DELETE FROM ", RowExclusive}, {"COPY ", RowExclusive},
	{"FROM ", AccessShare}, {"JOIN ", AccessShare},
}

// Locks are the locks that a statement of a load takes on the tables that the plan knows. Temporary tables are nobody else's.
func (r Request) Locks(statement string) []Lock {
	locks := []Lock{}
	query := r.query()
	reads := strings.Contains(statement, query)
	statement = strings.ReplaceAll(statement, query, "q") // what the user wrote is not ours to read
	for _, table := range []string{r.Target(), r.closures()} {
		if mode := strongest(statement, table); mode != "" {
			locks = append(locks, Lock{table, mode})
		}
	}
	if reads {
		locks = append(locks, Lock{OfTheQuery, AccessShare})
	}
	return locks
}

func strongest(statement, table string) (mode LockMode) {
	if _, after, found := strings.Cut(statement, "LOCK TABLE "+table+" IN "); found {
		named, _, _ := strings.Cut(after, " MODE")
		return LockMode(named)
	}
	for _, take := range taken {
		if names(statement, take.words+table) && take.mode.Strength() > mode.Strength() {
			mode = take.mode
		}
	}
	return mode
}

// names reports whether the text has the words, and the name at their end goes no further.
func names(text, words string) bool {
	for {
		_, after, found := strings.Cut(text, words)
		if !found {
			return false
		}
		if after == "" || strings.ContainsAny(after[:1], " \n);,") {
			return true
		}
		text = after
	}
}
