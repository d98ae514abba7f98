package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// Watermark says what a load by watermark did: all values are texts that mean the same under any settings, nil where there is none.
type Watermark struct {
	Column string  `json:"column"`
	Since  *string `json:"since"`  // where it read from
	Stored *string `json:"stored"` // where the next one starts
	Cap    *string `json:"cap"`    // what it must not pass
	Note   string  `json:"note,omitempty"`

	before *string // as it was stored
	age    *int64  // of the oldest transaction of the source when it was asked for, in microseconds
	asked  time.Time
}

// grows are the types of a source column whose values keep their order and stay apart in the declared type. A watermark of rounded values would read rows again and
// again, or pass over them; so would one of local times, which go back once a year.
var grows = map[string][]uint32{
	"small_int": {pgtype.Int2OID}, "integer": {pgtype.Int2OID, pgtype.Int4OID}, "big_int": {pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID},
	"numeric": {pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID}, "float": {pgtype.Int2OID, pgtype.Float4OID},
	"double": {pgtype.Int2OID, pgtype.Int4OID, pgtype.Float4OID, pgtype.Float8OID},
	"text":   {pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID}, "string": {pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID},
	"date": {pgtype.DateOID}, "timestamp": {pgtype.DateOID, pgtype.TimestampOID}, "timestamp_tz": {pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID},
}

// checkGrowth refuses a source whose incremental column loses something when it is stored.
func (l *load) checkGrowth(fields []pgconn.FieldDescription) error {
	name := l.plan.Load.IncrementalColumn
	i := slices.IndexFunc(fields, func(f pgconn.FieldDescription) bool { return f.Name == name })
	if name == "" || i < 0 {
		return nil
	}
	declared, f := l.column(), fields[i]
	fits := slices.Contains(grows[declared.Kind], f.DataTypeOID)
	if f.DataTypeOID == pgtype.NumericOID && declared.Kind == "numeric" && f.TypeModifier >= 0 { // (precision << 16 | scale) + 4, the scale in 11 bits with a sign
		scale := (int(f.TypeModifier-4)&0x7ff ^ 1024) - 1024
		fits = scale <= declared.Values[1]
	}
	if fits {
		return nil
	}
	cast := "::" + strings.ToLower(declared.SQL())
	if f.DataTypeOID == pgtype.TimestamptzOID && declared.Kind == "timestamp" {
		cast = " AT TIME ZONE 'UTC'" // in a zone with summer time one hour comes twice
	}
	return fault.New(fault.InvalidQuery, "incremental_column=%q is declared as %s, and the source query delivers another type, whose values would be rounded or change their order: a watermark of such values would load rows twice or never. Nothing was written.",
		name, declared.SQL()).WithHint("Declare the type of the source, or cast in the query: %s%s AS %[1]s.", ident.Quote(name), cast)
}

// readWatermark finds out where the load reads from and how far its watermark may go. It runs under the locks of the target and of the pipeline, so that the load
// before it has committed, and before the source is read.
func (l *load) readWatermark(ctx context.Context) error {
	load := l.plan.Load
	if load.IncrementalColumn == "" {
		return nil
	}
	l.progress("watermark")
	if err := pg.Lock(ctx, l.tx, pg.LockOf("pipeline", load.PipelineName)); err != nil {
		return err
	}
	l.watermark = &Watermark{Column: load.IncrementalColumn}
	stored, err := meta.ReadWatermark(ctx, l.tx, load.PipelineName)
	if err != nil {
		return err
	}
	if stored != nil && l.created { // it is of a table that is gone: what that had is not in this one
		l.warnings = append(l.warnings, fmt.Sprintf("The table %s was made by this load: the watermark of %s from before was passed over, and everything loaded.", l.plan.Table, load.PipelineName))
		stored = nil
	}
	if stored != nil && stored.Column == load.IncrementalColumn {
		l.watermark.before, l.watermark.Stored, l.watermark.Since = &stored.LastValue, &stored.LastValue, &stored.LastValue
		if err := l.lookBack(ctx); err != nil {
			return err
		}
	}
	if l.plan.Request.Capped() {
		return l.readCap(ctx)
	}
	if l.column().Order == types.ByNumber && load.Mode != spec.Append && !load.Lag.Given() {
		l.watermark.Note = "numbers may be committed out of their order: lag= reads back over those that come late"
	}
	return nil
}

func (l *load) column() types.Type { return l.plan.Table.Column(l.plan.Load.IncrementalColumn).Type }

// lookBack takes the lag from the lower bound, under settings that keep its text unambiguous.
func (l *load) lookBack(ctx context.Context) error {
	lag := l.plan.Load.Lag
	if !lag.Given() {
		return nil
	}
	base := l.column().Base()
	expression, by := "$1::"+base+" - $2::bigint * interval '1 microsecond'", any(lag.Microseconds)
	if lag.Number != "" {
		expression, by = "$1::"+base+" - $2::numeric", lag.Number
		if l.column().Integer != "" { // towards what is smaller, and not below what the type has
			expression = "greatest(floor($1::numeric - $2::numeric), " + l.column().Integer + ")"
		}
	}
	if err := l.pin(ctx); err != nil {
		return err
	}
	var since string
	if err := l.tx.QueryRow(ctx, "SELECT ("+expression+")::"+base+"::text", *l.watermark.before, by).Scan(&since); err != nil {
		e := pg.Fault(err, "watermark")
		if e.Kind == fault.DataError {
			e.Message = fmt.Sprintf("The watermark of %s less its lag is out of the range of %s. Nothing was written.", l.plan.Load.PipelineName, base)
		}
		return e
	}
	l.watermark.Since = &since
	return l.unpin(ctx)
}

// hiddenSQL says why the start of the oldest transaction cannot be told, or NULL.
const hiddenSQL = `SELECT CASE
    WHEN pg_catalog.pg_is_in_recovery() THEN 'the source is a standby'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()) THEN 'the source has prepared transactions'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
        AND (query = '<insufficient privilege>' OR state = 'disabled')) THEN 'the source hides sessions of other users (GRANT pg_read_all_stats shows them)'
    END`

// capSQL is one second before the start of the oldest transaction of the source, or before now. A time without zone is taken as what it is at the least: the time in UTC
// or in the session's zone, whichever is earlier.
const capSQL = `SELECT pg_catalog.to_char(c, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), pg_catalog.to_char(least(c, at::timestamp), 'YYYY-MM-DD"T"HH24:MI:SS.US'),
    (1000000 * extract(epoch FROM pg_catalog.clock_timestamp() - at))::bigint
FROM (
    SELECT at, at AT TIME ZONE 'UTC' AS c
    FROM (
        SELECT least(pg_catalog.clock_timestamp(), min(xact_start)) - interval '1 second' AS at
        FROM pg_catalog.pg_stat_activity
        WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
    ) AS oldest
) AS zoned`

// ageWhenRead is how old the oldest transaction is by now, that is when everything has been read: rows may have been read that were written after the cap was asked for.
func (w *Watermark) ageWhenRead() *int64 {
	if w.age == nil {
		return nil
	}
	age := *w.age + time.Since(w.asked).Microseconds()
	return &age
}

// readCap asks the source how far the watermark may go: rows of transactions that still run may be older than rows that are read now.
func (l *load) readCap(ctx context.Context) error {
	source := l.reader()
	if _, err := source.Exec(ctx, "SELECT pg_catalog.pg_stat_clear_snapshot()"); err != nil { // a transaction sees one state of the activity, unless told otherwise
		return pg.Fault(err, "watermark")
	}
	// The starts first: a transaction that is prepared in between is seen by the second question, and the other way round it would be seen by neither.
	var zoned, plain string
	var age int64
	asked := time.Now()
	if err := source.QueryRow(ctx, capSQL).Scan(&zoned, &plain, &age); err != nil {
		return pg.Fault(err, "watermark")
	}
	var hidden *string
	if err := source.QueryRow(ctx, hiddenSQL).Scan(&hidden); err != nil {
		return pg.Fault(err, "watermark")
	}
	if hidden != nil {
		if l.plan.Load.WatermarkCap != nil {
			remedy := "Leave watermark_cap out and give lag=, which reads back over rows that are committed late."
			if l.plan.Load.Mode == spec.Append {
				remedy = "Where it cannot be had an append may lose rows that are committed late: load with mode=\"merge\" and lag=, or read from a source that shows its transactions."
			}
			return fault.New(fault.InvalidSpec, "watermark_cap=True cannot be kept: %s. Nothing was written.", *hidden).
				WithHint("%s", remedy)
		}
		l.watermark.Note = "no cap: " + *hidden + "; lag= reads back over rows that are committed late"
		return nil
	}
	l.watermark.age, l.watermark.asked = &age, asked
	switch l.column().Kind {
	case "timestamp_tz":
		l.watermark.Cap = &zoned
	case "date":
		plain = plain[:len("2006-01-02")]
		l.watermark.Cap = &plain
	default:
		l.watermark.Cap = &plain
	}
	return nil
}

// mark finds where the watermark will stand. A load that has read nothing leaves it.
func (l *load) mark(ctx context.Context, step strategy.Step, args []any) error {
	var reached *string
	if err := l.tx.QueryRow(ctx, step.SQL, args...).Scan(&reached); err != nil {
		return pg.Fault(err, step.Name)
	}
	if reached != nil {
		l.watermark.Stored = reached
	}
	return nil
}

// keepWatermark stores it in the load's own transaction.
func (l *load) keepWatermark(ctx context.Context) error {
	w := l.watermark
	if w == nil || w.Stored == nil {
		return nil
	}
	if w.before != nil && *w.before == *w.Stored {
		return nil
	}
	return meta.WriteWatermark(ctx, l.tx, meta.Watermark{Pipeline: l.plan.Load.PipelineName, Column: w.Column, LastValue: *w.Stored})
}
