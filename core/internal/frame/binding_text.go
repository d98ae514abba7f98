package frame

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
)

var (
	errNUL     = &refusal{"text with a NUL character, which PostgreSQL does not take", "Remove it, or make the column bytea."}
	errBadUTF8 = &refusal{"text that is not valid UTF-8", "Decode it with its real encoding first, or make the column bytea."}
	errNoUUID  = &refusal{"text that is no UUID", "The form is 8-4-4-4-12 hexadecimal digits."}
	errLong    = &refusal{"a value of more than 1 GiB, which PostgreSQL does not take", "Split it."}
)

// maxField is the most bytes of a value (MaxAllocSize).
const maxField = 1<<30 - 1024

// stringsOf is how text is read from an Arrow type; nil where there is none.
func stringsOf(from arrow.DataType) func(arrow.Array) valued[string] {
	switch from.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.STRING_VIEW:
		return func(a arrow.Array) valued[string] { return a.(valued[string]) }
	}
	return nil
}

// textBinding writes text, behind a version byte where one is given (not negative).
func textBinding(from arrow.DataType, version int) binding {
	if stringsOf(from) == nil {
		return nil
	}
	return func(a arrow.Array) encode {
		values := stringsOf(from)(a)
		return func(to []byte, row int) ([]byte, error) {
			text := values.Value(row)
			switch {
			case len(text) > maxField:
				return nil, errLong
			case strings.IndexByte(text, 0) >= 0:
				return nil, errNUL
			case !utf8.ValidString(text):
				return nil, errBadUTF8
			}
			if version < 0 {
				to = binary.BigEndian.AppendUint32(to, uint32(len(text)))
			} else {
				to = append(binary.BigEndian.AppendUint32(to, uint32(len(text)+1)), byte(version))
			}
			return append(to, text...), nil
		}
	}
}

// binariesOf is how bytes are read from an Arrow type; nil where there are none.
func binariesOf(from arrow.DataType) func(arrow.Array) valued[[]byte] {
	switch from.ID() {
	case arrow.BINARY, arrow.LARGE_BINARY, arrow.BINARY_VIEW, arrow.FIXED_SIZE_BINARY:
		return func(a arrow.Array) valued[[]byte] { return a.(valued[[]byte]) }
	}
	return nil
}

func bytesBinding(from arrow.DataType) binding {
	if binariesOf(from) == nil {
		return nil
	}
	return func(a arrow.Array) encode {
		values := binariesOf(from)(a)
		return func(to []byte, row int) ([]byte, error) {
			value := values.Value(row)
			if len(value) > maxField {
				return nil, errLong
			}
			return append(binary.BigEndian.AppendUint32(to, uint32(len(value))), value...), nil
		}
	}
}

// uuidBinding takes the canonical text, in either case and with or without hyphens, and 16 bytes.
func uuidBinding(from arrow.DataType) binding {
	if fixed, is := from.(*arrow.FixedSizeBinaryType); is && fixed.ByteWidth == 16 {
		return bytesBinding(from)
	}
	if stringsOf(from) == nil {
		return nil
	}
	return func(a arrow.Array) encode {
		values := stringsOf(from)(a)
		return func(to []byte, row int) ([]byte, error) {
			text := values.Value(row)
			if len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' {
				text = text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
			}
			var id [16]byte
			if n, err := hex.Decode(id[:], []byte(text[:min(len(text), 32)])); err != nil || n != 16 || len(text) != 32 {
				return nil, errNoUUID
			}
			return append(append(to, 0, 0, 0, 16), id[:]...), nil
		}
	}
}
