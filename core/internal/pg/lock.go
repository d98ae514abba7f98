package pg

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"github.com/jackc/pgx/v5"
)

// LockOf is the key of the advisory lock of a thing: 64 bits of a SHA-256 of kind and name.
func LockOf(kind, name string) int64 {
	sum := sha256.Sum256([]byte("ematix-flow\x00" + kind + "\x00" + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// TargetLock is the advisory lock of loads into one table, and of making it.
func TargetLock(schema, table string) int64 { return LockOf("target", schema+"\x00"+table) }

// Lock takes an advisory lock until the end of the transaction. It waits as long as lock_timeout allows.
func Lock(ctx context.Context, tx pgx.Tx, key int64) error {
	if _, err := tx.Exec(ctx, "SELECT pg_catalog.pg_advisory_xact_lock($1)", key); err != nil {
		return Fault(err, "lock")
	}
	return nil
}

// TryLock takes it if it is free.
func TryLock(ctx context.Context, tx pgx.Tx, key int64) (taken bool, err error) {
	if err := tx.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_xact_lock($1)", key).Scan(&taken); err != nil {
		return false, Fault(err, "lock")
	}
	return taken, nil
}
