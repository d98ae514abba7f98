package run

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

// misencoded finds the column and the row whose text is not in the encoding that the source database claims (SQL_ASCII takes any bytes), which the server does not name. Each column is read alone until
// one fails; the savepoint of the source's transaction is from before the relay. What it does not find out it leaves as it is.
func (x *extract) misencoded(ctx context.Context, source pgx.Tx, query, where, savepoint string, e *fault.Error) {
	if e.Phase != pg.ReadSource || (e.SQLState != "22021" && e.SQLState != "22P05") {
		return
	}
	for _, c := range x.columns {
		if _, err := source.Exec(ctx, "ROLLBACK TO SAVEPOINT "+savepoint); err != nil {
			return
		}
		var rows rowCounter
		_, err := source.Conn().PgConn().CopyTo(ctx, &rows, copyOut([]string{c.output}, query, where))
		if err == nil {
			continue
		}
		if failed := pg.Fault(err, pg.ReadSource); failed.SQLState == e.SQLState {
			e.Message = fmt.Sprintf("Column %q of row %d of the source query is not valid text in the encoding of its database. %s", c.source, rows+1, e.Message)
			e.Hint = "Say in the query what encoding the bytes are in, for example convert_from(convert(convert_to(name, 'SQL_ASCII'), 'LATIN1', 'UTF8'), 'UTF8'), or mend the rows."
		}
		return
	}
}

// rowCounter counts the messages of a COPY, of which the server sends one for each row.
type rowCounter int64

func (n *rowCounter) Write(data []byte) (int, error) {
	*n++
	return len(data), nil
}
