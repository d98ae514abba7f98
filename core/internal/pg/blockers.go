package pg

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// LockMode is a mode of locks on tables, as the view pg_locks spells it.
type LockMode string

// The modes that loads ask for.
const (
	AccessShare       LockMode = "AccessShareLock"
	RowExclusive      LockMode = "RowExclusiveLock"
	Share             LockMode = "ShareLock"
	ShareRowExclusive LockMode = "ShareRowExclusiveLock"
	AccessExclusive   LockMode = "AccessExclusiveLock"
)

// conflicting are the modes that keep a mode from being given.
// https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
var conflicting = map[LockMode][]string{
	AccessShare:       {"AccessExclusiveLock"},
	RowExclusive:      {"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"},
	Share:             {"RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"},
	ShareRowExclusive: {"RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"},
	AccessExclusive: {"AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock",
		"AccessExclusiveLock"},
}

// spelled is a mode as LOCK TABLE has it.
var spelled = map[string]string{
	"AccessShareLock": "ACCESS SHARE", "RowShareLock": "ROW SHARE", "RowExclusiveLock": "ROW EXCLUSIVE", "ShareUpdateExclusiveLock": "SHARE UPDATE EXCLUSIVE",
	"ShareLock": "SHARE", "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE", "ExclusiveLock": "EXCLUSIVE", "AccessExclusiveLock": "ACCESS EXCLUSIVE",
}

// Blocker is a session, or a prepared transaction, whose lock others wait for.
type Blocker struct {
	PID         int64 // 0 for a prepared transaction
	Prepared    string
	Application string
	Object      string
	Mode        string
	Held        bool  // or only waited for, in front of others
	Seconds     int64 // that its transaction is open, -1 where that is hidden

	rank int
}

// shownBlockers is how many of them are told.
const shownBlockers = 3

// blockersSQL ranks who can have kept the mode from being given on a table and its partitions: locks on the table; for writes those on tables linked by foreign keys, and
// sessions that have locked rows in either; last whoever has a table of this database for itself, since the source query may read it.
const blockersSQL = `WITH target AS (
    SELECT to_regclass(nullif($1, ''))::oid AS oid
    UNION SELECT relid::oid FROM pg_partition_tree(to_regclass(nullif($1, '')))
), linked AS (
    SELECT confrelid AS oid FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT oid FROM target)
    UNION SELECT conrelid FROM pg_constraint WHERE contype = 'f' AND confrelid IN (SELECT oid FROM target)
), locks AS (
    SELECT l.*, CASE
        WHEN l.relation IN (SELECT oid FROM target) AND l.mode = ANY ($2::text[]) THEN 1
        WHEN $3::boolean AND l.relation IN (SELECT oid FROM linked) AND l.mode IN ('ExclusiveLock', 'AccessExclusiveLock') THEN 2
        WHEN $3::boolean AND l.relation IN (SELECT oid FROM target UNION SELECT oid FROM linked) AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
            AND EXISTS (SELECT FROM pg_locks AS x WHERE x.locktype = 'transactionid' AND x.granted AND x.virtualtransaction = l.virtualtransaction) THEN 3
        WHEN l.mode = 'AccessExclusiveLock' AND l.granted THEN 4
    END AS rank
    FROM pg_locks AS l
    WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid IS DISTINCT FROM pg_backend_pid()
)
SELECT coalesce(l.pid, 0)::bigint, coalesce(p.gid, ''), coalesce(nullif(a.application_name, ''), a.backend_type, ''), n.nspname || '.' || c.relname, l.mode, l.granted,
    coalesce(floor(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))), -1)::bigint, 2 * l.rank + CASE WHEN l.granted THEN 0 ELSE 1 END AS place
FROM locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname <> 'pg_catalog' AND n.nspname NOT LIKE 'pg\_toast%'
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts AS p ON l.pid IS NULL AND EXISTS (SELECT FROM pg_locks AS x
    WHERE x.locktype = 'transactionid' AND x.transactionid = p.transaction AND x.granted AND x.virtualtransaction = l.virtualtransaction)
WHERE l.rank IS NOT NULL
ORDER BY place, coalesce(a.xact_start, p.prepared), l.pid`

// Blockers finds who keeps a lock from being given on a table, by the quoted name of it, empty for one that is not known. writes says that rows are to be changed, whose locks the view does not show: whoever
// may have them is named. What the caller itself has locked is left out.
func Blockers(ctx context.Context, q Querier, table string, mode LockMode, writes bool) ([]Blocker, error) {
	rows, err := q.Query(ctx, blockersSQL, table, conflicting[mode], writes)
	if err != nil {
		return nil, Fault(err, "locks")
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b Blocker, err error) {
		return b, row.Scan(&b.PID, &b.Prepared, &b.Application, &b.Object, &b.Mode, &b.Held, &b.Seconds, &b.rank)
	})
	if err != nil {
		return nil, Fault(err, "locks")
	}
	var likeliest []Blocker
	seen := map[string]bool{}
	for _, b := range all {
		who := fmt.Sprint(b.PID, b.Prepared)
		if b.rank == all[0].rank && b.Object == all[0].Object && !seen[who] && len(likeliest) < shownBlockers {
			seen[who] = true
			likeliest = append(likeliest, b)
		}
	}
	return likeliest, nil
}

// String names a blocker in a message.
func (b Blocker) String() string {
	who := fmt.Sprintf("process %d", b.PID)
	if b.PID == 0 {
		who = fmt.Sprintf("the prepared transaction %q", b.Prepared)
	}
	var about []string
	if b.Application != "" {
		about = append(about, fmt.Sprintf("%q", b.Application))
	}
	if b.Held {
		about = append(about, "holds "+spelled[b.Mode])
	} else {
		about = append(about, "waits for "+spelled[b.Mode])
	}
	if b.Seconds >= 0 {
		about = append(about, fmt.Sprintf("transaction open for %d s", b.Seconds))
	}
	return who + " (" + strings.Join(about, ", ") + ")"
}

// Ended is the statement that ends it.
func (b Blocker) Ended() string {
	if b.PID == 0 {
		return "ROLLBACK PREPARED '" + strings.ReplaceAll(b.Prepared, "'", "''") + "'"
	}
	return fmt.Sprintf("SELECT pg_terminate_backend(%d)", b.PID)
}

// Holder is a session, or a prepared transaction (PID 0), that holds a lock on a table or waits for one.
type Holder struct {
	PID         int64  `json:"pid"`
	Application string `json:"application"`
	Mode        string `json:"mode"`    // as LOCK TABLE has it
	Granted     bool   `json:"granted"` // or waited for
	Seconds     int64  `json:"seconds"` // that its transaction is open, -1 where that is hidden
}

const holdersSQL = `SELECT coalesce(l.pid, 0)::bigint, coalesce(nullif(a.application_name, ''), a.backend_type, ''), l.mode, l.granted,
    coalesce(floor(extract(epoch FROM clock_timestamp() - a.xact_start)), -1)::bigint
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation IN (SELECT to_regclass($1)::oid UNION SELECT relid::oid FROM pg_partition_tree(to_regclass($1)))
  AND l.mode = ANY ($2::text[]) AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY l.granted DESC, a.xact_start, l.pid, l.mode
LIMIT 20`

// Conflicting are those whose locks on a table, by the quoted name of it, keep a mode (as LOCK TABLE has it) from being given now.
func Conflicting(ctx context.Context, q Querier, table, mode string) ([]Holder, error) {
	var modes []string
	for own, others := range conflicting {
		if spelled[string(own)] == mode {
			modes = others
		}
	}
	rows, err := q.Query(ctx, holdersSQL, table, modes)
	if err != nil {
		return nil, Fault(err, "locks")
	}
	holders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Holder, err error) {
		err = row.Scan(&h.PID, &h.Application, &h.Mode, &h.Granted, &h.Seconds)
		h.Mode = spelled[h.Mode]
		return h, err
	})
	if err != nil {
		return nil, Fault(err, "locks")
	}
	return holders, nil
}
