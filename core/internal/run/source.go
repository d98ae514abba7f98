package run

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// reading is a source on another server: a connection of its own, so that loads that wait for a session of a full pool cannot wait for each other, in a
// read-only transaction.
type reading struct {
	conn *pgx.Conn
	tx   pgx.Tx
}

// sourceSQL makes the texts of both ends UTF-8, limits waiting for locks, and lets the server notice that we are gone. Nothing else is changed: the query runs under the connection's own settings.
const sourceSQL = `SELECT pg_catalog.set_config('client_encoding', 'UTF8', true), pg_catalog.set_config('application_name', $1, true), pg_catalog.set_config('lock_timeout', $2, true),
    pg_catalog.set_config('tcp_keepalives_idle', '60', true), pg_catalog.set_config('tcp_keepalives_interval', '10', true), pg_catalog.set_config('tcp_keepalives_count', '6', true)`

// openSource begins to read from the other server, where the plan says so.
func (l *load) openSource(ctx context.Context) error {
	if l.plan.Path != spec.CrossDB {
		return nil
	}
	l.progress("connect source")
	conn, err := l.source.Dedicated(ctx)
	if err != nil {
		return err
	}
	l.reads = &reading{conn: conn}
	if l.reads.tx, err = conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly}); err != nil {
		return pg.Fault(err, pg.ReadSource)
	}
	if _, err := l.reads.tx.Exec(ctx, sourceSQL, "ematix-flow "+l.run.ID, l.lockTimeout()); err != nil {
		return pg.Fault(err, pg.ReadSource)
	}
	if _, err := l.tx.Exec(ctx, relaySession); err != nil {
		return pg.Fault(err, "settings")
	}
	var standby bool
	if err := l.reads.tx.QueryRow(ctx, "SELECT pg_catalog.pg_is_in_recovery()").Scan(&standby); err != nil {
		return pg.Fault(err, pg.ReadSource)
	}
	if standby {
		l.warnings = append(l.warnings, "The source is a standby: what its primary has committed may arrive there later, and a long query may be cancelled by its recovery.")
	}
	return nil
}

// closeSource ends it; nothing was changed there.
func (l *load) closeSource(ctx context.Context) {
	if l.reads == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWait)
	defer cancel()
	_ = l.reads.conn.Close(ctx) // the server rolls back what is open
	l.reads = nil
}

// reader is the transaction in which the query runs.
func (l *load) reader() pgx.Tx {
	if l.reads != nil {
		return l.reads.tx
	}
	return l.tx
}

// arrivedTable takes rows that the target converts after they have arrived.
const arrivedTable = "pg_temp._ematix_arrived"

// relay brings the rows of the query over, into the staging table or straight into the target, and counts them.
func (l *load) relay(ctx context.Context, step strategy.Step) (int64, error) {
	x, err := l.extract(ctx, step)
	if err != nil {
		return 0, err
	}
	where, err := l.freshLiteral(ctx, x)
	if err != nil {
		return 0, err
	}
	if x.twoSteps() {
		if err := l.prepareArrival(ctx, x); err != nil {
			return 0, err
		}
	}
	if _, err := l.reads.tx.Exec(ctx, "SAVEPOINT before_source"); err != nil {
		return 0, pg.Fault(err, pg.ReadSource)
	}
	rows, err := pg.Relay(ctx, l.reads.conn.PgConn(), x.copyOut(l.plan.Load.Query, where), l.tx.Conn().PgConn(), x.copyIn(), l.watch.move)
	if err != nil {
		e := pg.Fault(x.placed(err), pg.ReadSource)
		x.misencoded(ctx, l.reads.tx, l.plan.Load.Query, where, "before_source", e)
		return 0, e
	}
	l.closeSource(ctx) // its transaction would hold back others there
	if x.twoSteps() {
		return l.convertArrived(ctx, x)
	}
	return rows, nil
}

// extract decides how each column travels.
func (l *load) extract(ctx context.Context, step strategy.Step) (*extract, error) {
	staged := l.plan.Request.Staged()
	want := make([]wanted, len(staged))
	for i, c := range staged {
		want[i] = wanted{name: c.Name, source: c.From, kind: c.Type}
	}
	into := strategy.StageTable
	if step.Counts != strategy.Staged {
		into = l.plan.Request.Target()
	}
	x, err := newExtract(ctx, l.reads.tx, l.tx.Conn().PgConn(), l.fields, want, into, arrivedTable)
	if err != nil || step.Counts == strategy.Staged {
		return x, err
	}
	if x.arrives, err = l.needsInsert(ctx); err != nil {
		return nil, err
	}
	columns, values := l.plan.Request.Filled()
	for i, c := range columns {
		value := l.run.ID
		if values[i] == strategy.LoadTime {
			if value, err = l.time(ctx); err != nil {
				return nil, err
			}
		}
		oid := declaredOID[c.Type.Kind]
		x.columns = append(x.columns, travelling{wanted: wanted{name: c.Name, source: c.Name, kind: c.Type}, output: ident.Literal(value) + "::" + wireNames[oid], wire: oid})
	}
	return x, nil
}

// needsInsert reports whether the target must be written by INSERT: COPY knows no row-level security, counts rows that triggers keep back as others do not, and reads the bytes of one type as those of
// another where the table is not as declared.
func (l *load) needsInsert(ctx context.Context) (needed bool, err error) {
	err = l.tx.QueryRow(ctx, `SELECT pg_catalog.row_security_active(c.oid) OR EXISTS (SELECT FROM pg_catalog.pg_trigger
    WHERE (tgrelid = c.oid OR tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid))) AND NOT tgisinternal)
FROM pg_catalog.pg_class AS c WHERE c.oid = $1::regclass`, l.plan.Request.Target()).Scan(&needed)
	return needed || len(l.differences) > 0, orNil(err, "reflect")
}

// prepareArrival makes the table of arrival. The conversion is prepared before the rows are there, so that types which cannot be assigned are found at once.
func (l *load) prepareArrival(ctx context.Context, x *extract) error {
	if _, err := l.tx.Exec(ctx, x.createArrival()); err != nil {
		return pg.Fault(err, pg.Stage)
	}
	if _, err := l.tx.Conn().PgConn().Prepare(ctx, "", x.insert(), nil); err != nil {
		return pg.Fault(err, pg.Stage)
	}
	return nil
}

// convertArrived puts the rows where they belong as an INSERT from a query of this database would, and counts them.
func (l *load) convertArrived(ctx context.Context, x *extract) (int64, error) {
	if _, err := l.tx.Exec(ctx, "SAVEPOINT arrived"); err != nil {
		return 0, pg.Fault(err, pg.Stage)
	}
	tag, err := l.tx.Exec(ctx, x.insert())
	if err != nil {
		l.arrived = x.wires()
		return 0, err
	}
	_, err = l.tx.Exec(ctx, "DROP TABLE "+arrivedTable)
	return tag.RowsAffected(), orNil(err, pg.Stage)
}

// wires are the names and types of the columns of arrival.
func (x *extract) wires() []pgconn.FieldDescription {
	fields := make([]pgconn.FieldDescription, len(x.columns))
	for i, c := range x.columns {
		fields[i] = pgconn.FieldDescription{Name: c.name, DataTypeOID: c.wire}
	}
	return fields
}

// freshLiteral is the condition on the rows that a load by watermark reads, with its bounds as literals: COPY takes no parameters.
func (l *load) freshLiteral(ctx context.Context, x *extract) (string, error) {
	if l.plan.Load.IncrementalColumn == "" {
		return "", nil
	}
	base := "::" + l.column().Base()
	var failed error
	condition := l.plan.Request.Fresh(func(p strategy.Parameter) string {
		bound := l.watermark.Since
		if p == strategy.Cap {
			bound = l.watermark.Cap
		}
		switch {
		case p == strategy.Since && l.plan.Load.LastValueLiteral != "":
			return l.plan.Load.LastValueLiteral
		case bound == nil:
			return "NULL" + base
		}
		text, cast, err := l.asTheSourceHasIt(ctx, *bound, x)
		if err != nil {
			failed = err
		}
		return strings.TrimSpace(ident.Literal(text)) + cast
	})
	return condition, failed
}

// asTheSourceHasIt converts a bound to the type of the source's column where the conversion depends on the time zone: the target's, under which the rows are
// converted too.
func (l *load) asTheSourceHasIt(ctx context.Context, bound string, x *extract) (text, cast string, err error) {
	declared, wire := l.column().Base(), ""
	for _, f := range x.wires() {
		if f.Name == l.plan.Load.IncrementalColumn {
			wire = map[uint32]string{pgtype.DateOID: "DATE", pgtype.TimestampOID: "TIMESTAMP", pgtype.TimestamptzOID: "TIMESTAMPTZ"}[f.DataTypeOID]
		}
	}
	if wire == "" || (declared == "TIMESTAMPTZ") == (wire == "TIMESTAMPTZ") {
		return bound, "::" + declared, nil
	}
	format, converted := `'YYYY-MM-DD"T"HH24:MI:SS.US'`, "$1::"+declared+"::"+wire+"::timestamp"
	if wire == "TIMESTAMPTZ" {
		format, converted = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`, "$1::"+declared+"::timestamptz AT TIME ZONE 'UTC'"
	}
	if err := l.tx.QueryRow(ctx, "SELECT pg_catalog.to_char("+converted+", "+format+")", bound).Scan(&text); err != nil {
		return "", "", pg.Fault(err, "watermark")
	}
	return text, "::" + wire, nil
}
