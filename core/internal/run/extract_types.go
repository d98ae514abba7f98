package run

// builtIn are the types that have the same OID and the same binary form on every server, whatever its settings and objects: they travel as they are. Not among them are reg* (OIDs of
// objects of that server), money (counts the units of lc_monetary), xml (not every server is built with it) and row types.
// The number behind each name is the OID of its arrays.
var builtIn = map[uint32]struct {
	name  string
	array uint32
}{
	16: {"bool", 1000}, 17: {"bytea", 1001}, 18: {"char", 1002}, 19: {"name", 1003}, 20: {"int8", 1016}, 21: {"int2", 1005}, 23: {"int4", 1007}, 25: {"text", 1009},
	26: {"oid", 1028}, 114: {"json", 199}, 600: {"point", 1017}, 601: {"lseg", 1018}, 602: {"path", 1019}, 603: {"box", 1020}, 604: {"polygon", 1027}, 628: {"line", 629},
	650: {"cidr", 651}, 700: {"float4", 1021}, 701: {"float8", 1022}, 718: {"circle", 719}, 774: {"macaddr8", 775}, 829: {"macaddr", 1040}, 869: {"inet", 1041},
	1042: {"bpchar", 1014}, 1043: {"varchar", 1015}, 1082: {"date", 1182}, 1083: {"time", 1183}, 1114: {"timestamp", 1115}, 1184: {"timestamptz", 1185},
	1186: {"interval", 1187}, 1266: {"timetz", 1270}, 1560: {"bit", 1561}, 1562: {"varbit", 1563}, 1700: {"numeric", 1231}, 2950: {"uuid", 2951}, 3220: {"pg_lsn", 3221},
	3614: {"tsvector", 3643}, 3615: {"tsquery", 3645}, 3802: {"jsonb", 3807}, 3904: {"int4range", 3905}, 3906: {"numrange", 3907}, 3908: {"tsrange", 3909},
	3910: {"tstzrange", 3911}, 3912: {"daterange", 3913}, 3926: {"int8range", 3927}, 4072: {"jsonpath", 4073}, 4451: {"int4multirange", 6150}, 4532: {"nummultirange", 6151},
	4533: {"tsmultirange", 6152}, 4534: {"tstzmultirange", 6153}, 4535: {"datemultirange", 6155}, 4536: {"int8multirange", 6157}, 5069: {"xid8", 271},
}

// wireNames are the built-in types and their arrays as SQL spells them in any session. Without a modifier they hold every value of the type; the keywords char and bit would not.
var wireNames = func() map[uint32]string {
	names := map[uint32]string{}
	for oid, t := range builtIn {
		names[oid] = `pg_catalog."` + t.name + `"`
		names[t.array] = names[oid] + "[]"
	}
	return names
}()

// declaredOID are the types of declared columns; a test looks that there are all.
var declaredOID = map[string]uint32{
	"boolean": 16, "bytes": 17, "big_int": 20, "small_int": 21, "integer": 23, "text": 25, "json": 114, "float": 700, "double": 701, "string": 1043, "date": 1082,
	"timestamp": 1114, "timestamp_tz": 1184, "numeric": 1700, "uuid": 2950, "jsonb": 3802,
}

const (
	oidText, oidVarchar = 25, 1043

	// From 17 on intervals can be infinite, which an older server takes for very long ones.
	oidInterval, oidIntervals = 1186, 1187
	infiniteIntervals         = 17
)

func isText(oid uint32) bool { return oid == oidText || oid == oidVarchar }

// exact are the conversions that give the same for every value and in every session, and never fail: they can be made on the source's side, so that rows go straight into the staging table. All others are
// made by the target, under its own settings.
var exact = map[uint32][]uint32{
	21:   {20, 23, 701, 1700},   // int2
	23:   {20, 701, 1700},       // int4
	20:   {1700},                // int8
	700:  {701},                 // float4
	1042: {oidText, oidVarchar}, // bpchar
	19:   {oidText, oidVarchar}, // name
}
