package ident

import (
	"regexp"
	"strings"
)

var bare = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// Quote returns name as an identifier: bare where PostgreSQL reads it back unchanged, in double quotes otherwise.
// The name has been checked (Check); a NUL byte or more than 63 bytes do not reach this function.
func Quote(name string) string {
	if bare.MatchString(name) && !keywords[name] {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// Qualified is schema.name, each quoted where needed.
func Qualified(schema, name string) string { return Quote(schema) + "." + Quote(name) }

// List is the names, quoted where needed, with ", " between them.
func List(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = Quote(name)
	}
	return strings.Join(quoted, ", ")
}

// keywords are those that are reserved in some position, of PostgreSQL 15 to 18 (pg_get_keywords(), all but category U), as quote_ident() does.
var keywords = func() map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(keywordList) {
		set[word] = true
	}
	return set
}()

const keywordList = `
	all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
	character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
	current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do
	else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having
	ilike in initially inner inout int integer intersect interval into is isnull join json json_array json_arrayagg
	json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading
	least left like limit localtime localtimestamp merge_action national natural nchar none normalize not notnull null
	nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real references
	returning right row select session_user setof similar smallint some substring symmetric system_user table tablesample
	then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where
	window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
	xmltable`
