package pg

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Existing declares a table that must be there, as far as the load writes it. exact is false where the table has more than what is declared.
func (s *Server) Existing(ctx context.Context, schema, name string, load *spec.Load, delivered []string) (table *spec.Table, exact bool, err error) {
	session, err := s.Acquire(ctx)
	if err != nil {
		return nil, false, err
	}
	defer session.Release()
	found, err := Reflect(ctx, session, schema, name)
	if err != nil {
		return nil, false, err
	}
	wanted := &spec.Table{Schema: schema, Name: name}
	if found == nil {
		return nil, false, fault.New(fault.TargetNotLoadable, "There is no table %s in the target database.", wanted).
			WithHint("Create it first, or declare it as a class (@ematix.table) and load it with @ematix.pipeline, which creates it.")
	}
	if err := Loadable(found, wanted); err != nil {
		return nil, false, err
	}
	if table, err = ddl.Existing(schema, name, found, load, delivered); err != nil {
		return nil, false, err
	}
	return table, len(ddl.Differences(table, found)) == 0, nil
}

// Delivered are the names of the columns of a query, nil where the server cannot tell: the load itself then says why.
func (s *Server) Delivered(ctx context.Context, query string) ([]string, error) {
	session, err := s.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Release()
	described, err := session.Conn().PgConn().Prepare(ctx, "", query, nil)
	if err != nil {
		return nil, ctx.Err()
	}
	names := make([]string, len(described.Fields))
	for i, field := range described.Fields {
		names[i] = field.Name
	}
	return names, nil
}
