package fault

import "strings"

// kindOf maps SQLSTATEs to kinds, the longest match first: five characters, then three, then the class.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
var kindOf = map[string]Kind{
	"08": ConnectionLost, "21000": DuplicateKeys, "22": DataError, "23": DataError,
	"25006": ReadOnlyTarget, "25P03": Timeout, "25P04": Timeout,
	"28": AuthenticationFailed, "3D000": ConnectionFailed,
	"40001": Conflict, "40P01": Conflict,
	"42501": PermissionDenied, "42": InvalidQuery,
	"53300": ConnectionFailed, "53": ServerResources, "54": ServerResources, "58": ServerResources,
	"55P03": LockTimeout, "57014": Timeout, "57P": ConnectionLost,
}

// KindOf is the kind of what the server refused with the SQLSTATE.
func KindOf(sqlstate string) Kind {
	for _, length := range []int{5, 3, 2} {
		if kind, found := kindOf[sqlstate[:min(length, len(sqlstate))]]; found {
			return kind
		}
	}
	return QueryError
}

// WithoutValues cuts the value out of a server message of class 22, which quotes what it refuses
// (invalid input syntax for type integer: "12x"). Messages of other classes quote names only. Those about encodings
// (22021, 22P05) quote the name of the encoding.
func WithoutValues(sqlstate, message string) string {
	first, last := strings.IndexByte(message, '"'), strings.LastIndexByte(message, '"')
	if !strings.HasPrefix(sqlstate, "22") || sqlstate == "22021" || sqlstate == "22P05" || first == last {
		return message
	}
	return strings.TrimRight(strings.TrimRight(message[:first], " :")+message[last+1:], " ")
}
