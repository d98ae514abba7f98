package frame

import (
	"encoding/hex"
	"unicode/utf8"
)

// bytesCodec takes values as they are: bytea, and text that the server has checked to be UTF-8.
type bytesCodec struct{}

func (bytesCodec) layout() layout { return layoutVariable }

func (bytesCodec) decode(v *Vector, row int, value []byte) error {
	v.setBytes(row, value)
	return nil
}

// uncheckedTextCodec is for databases of encoding SQL_ASCII, where text is any bytes.
type uncheckedTextCodec struct{ inner codec }

func (uncheckedTextCodec) layout() layout { return layoutVariable }

var errNotUTF8 = &refusal{"text that is not UTF-8 (the database's encoding is SQL_ASCII)", "Convert it in the query: convert_from(%s::bytea, 'LATIN1'), or whatever it is."}

func (c uncheckedTextCodec) decode(v *Vector, row int, value []byte) error {
	if !utf8.Valid(value) {
		return errNotUTF8
	}
	return c.inner.decode(v, row, value)
}

// jsonbCodec takes the text behind the version number.
type jsonbCodec struct{}

func (jsonbCodec) layout() layout { return layoutVariable }

func (jsonbCodec) decode(v *Vector, row int, value []byte) error {
	if len(value) == 0 || value[0] != 1 {
		return errField
	}
	v.setBytes(row, value[1:])
	return nil
}

// uuidCodec writes the canonical text.
type uuidCodec struct{}

func (uuidCodec) layout() layout { return layoutVariable }

func (uuidCodec) decode(v *Vector, row int, value []byte) error {
	if len(value) != 16 {
		return errField
	}
	text := v.room(row, 36)
	hex.Encode(text[:8], value[:4])
	hex.Encode(text[9:13], value[4:6])
	hex.Encode(text[14:18], value[6:8])
	hex.Encode(text[19:23], value[8:10])
	hex.Encode(text[24:], value[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return nil
}
