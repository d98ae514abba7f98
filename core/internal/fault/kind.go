// Package fault holds errors as data: a kind, a message that names the object and the remedy, and what the server said.
// It is also the only place that knows how a SQLSTATE becomes a kind.
package fault

// Kind is the class of an error. The Python class of an error is its kind in camel case (errors.py); a test keeps both sets equal.
type Kind string

const (
	AuthenticationFailed Kind = "authentication_failed"
	CommitUnknown        Kind = "commit_unknown"
	ConfigError          Kind = "config_error"
	Conflict             Kind = "conflict"
	ConnectionFailed     Kind = "connection_failed"
	ConnectionLost       Kind = "connection_lost"
	DataError            Kind = "data_error"
	DeleteGuard          Kind = "delete_guard"
	DuplicateKeys        Kind = "duplicate_keys"
	ForkUnsafeError      Kind = "fork_unsafe_error"
	InternalError        Kind = "internal_error"
	InvalidIdentifier    Kind = "invalid_identifier"
	InvalidQuery         Kind = "invalid_query"
	InvalidSchedule      Kind = "invalid_schedule"
	InvalidSpec          Kind = "invalid_spec"
	LockTimeout          Kind = "lock_timeout"
	NullKey              Kind = "null_key"
	OutOfOrder           Kind = "out_of_order"
	PermissionDenied     Kind = "permission_denied"
	QueryError           Kind = "query_error"
	ReadOnlyTarget       Kind = "read_only_target"
	SchemaDrift          Kind = "schema_drift"
	ServerResources      Kind = "server_resources"
	TargetBusy           Kind = "target_busy"
	TargetNotLoadable    Kind = "target_not_loadable"
	Timeout              Kind = "timeout"
	TLSError             Kind = "tls_error"
	UnknownConnection    Kind = "unknown_connection"
	UnsetVariable        Kind = "unset_variable"

	// NotImplemented is the one kind without a class of its own: Python raises its built-in NotImplementedError.
	NotImplemented Kind = "not_implemented"
)

// Kinds lists every kind, sorted.
func Kinds() []Kind {
	return []Kind{
		AuthenticationFailed, CommitUnknown, ConfigError, Conflict, ConnectionFailed, ConnectionLost, DataError, DeleteGuard,
		DuplicateKeys, ForkUnsafeError, InternalError, InvalidIdentifier, InvalidQuery, InvalidSchedule, InvalidSpec, LockTimeout,
		NotImplemented, NullKey, OutOfOrder, PermissionDenied, QueryError, ReadOnlyTarget, SchemaDrift, ServerResources, TargetBusy,
		TargetNotLoadable, Timeout, TLSError, UnknownConnection, UnsetVariable,
	}
}
