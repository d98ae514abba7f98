// Package pg speaks to servers: connections, sessions, transactions, locks, what a relation looks like.
package pg

import (
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// DSN is a connection URL, taken apart once. Its only printable form is Redacted; the password stays in unexported fields.
type DSN struct {
	Host     string // name, address, or the folder of a Unix socket
	Port     int
	Database string
	User     string

	password string
	query    url.Values
	raw      string
}

// ParseDSN reads postgres:// and postgresql:// URLs as libpq does; host, user and database must be there. The host may stand in
// the query part, as for Unix sockets: postgresql://user@/db?host=/run/postgresql. A text that is no such URL is not echoed:
// it may be a password gone astray.
func ParseDSN(raw string) (*DSN, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Opaque != "" {
		return nil, badDSN("is not a URL of the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE", "")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, badDSN("has an unreadable query part", "")
	}
	d := &DSN{Host: u.Hostname(), Database: strings.TrimPrefix(u.Path, "/"), query: query, raw: raw, Port: 5432}
	if u.User != nil {
		d.User = u.User.Username()
		d.password, _ = u.User.Password()
	}
	for key, field := range map[string]*string{"host": &d.Host, "user": &d.User, "password": &d.password, "dbname": &d.Database} {
		if query.Has(key) {
			*field = query.Get(key)
			query.Del(key)
		}
	}
	port := u.Port()
	if query.Has("port") {
		port = query.Get("port")
		query.Del("port")
	}
	if port != "" {
		if d.Port, err = strconv.Atoi(port); err != nil || d.Port < 1 || d.Port > 65535 {
			return nil, badDSN("has a port that is not a number from 1 to 65535", "")
		}
	}
	for _, part := range []struct{ name, value string }{{"host", d.Host}, {"user", d.User}, {"database", d.Database}} {
		if part.value == "" {
			return nil, badDSN("lacks the "+part.name, "The form is postgresql://USER:PASSWORD@HOST:PORT/DATABASE.")
		}
		if strings.ContainsRune(part.value, 0) {
			return nil, badDSN("has a NUL character in the "+part.name, "")
		}
	}
	return d, nil
}

func badDSN(what, hint string) *fault.Error {
	e := fault.New(fault.ConfigError, "The connection URL %s.", what)
	e.Hint = hint
	if hint == "" {
		e.Hint = "Characters with a meaning in URLs (@ : / ? # %) are written percent-encoded in user and password. The text is not shown, since it may hold a password."
	}
	return e
}

// Raw is the URL exactly as it was given, password included.
func (d *DSN) Raw() string { return d.raw }

// Same reports whether both are the same database: host text, port, database and user.
func (d *DSN) Same(other *DSN) bool {
	return d.Host == other.Host && d.Port == other.Port && d.Database == other.Database && d.User == other.User
}

// String makes printing a DSN safe.
func (d *DSN) String() string { return Redact(d.raw) }

// GoString does so for %#v.
func (d *DSN) GoString() string { return d.String() }

// Local reports whether the way to the server leaves this machine.
func (d *DSN) Local() bool {
	if strings.HasPrefix(d.Host, "/") || strings.HasPrefix(d.Host, "@") || d.Host == "localhost" {
		return true
	}
	ip := net.ParseIP(d.Host)
	return ip != nil && ip.IsLoopback()
}

// driverKeys are the settings that the driver would otherwise take from the environment. They are all given explicitly: Go's copy of the
// environment is from the time the library was loaded, the one of the message is from now.
var driverKeys = map[string]string{
	"passfile": "PGPASSFILE", "sslmode": "PGSSLMODE", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
	"sslrootcert": "PGSSLROOTCERT", "sslnegotiation": "PGSSLNEGOTIATION", "target_session_attrs": "PGTARGETSESSIONATTRS", "options": "PGOPTIONS",
	"connect_timeout": "PGCONNECT_TIMEOUT", "sslpassword": "",
}

// libpqOnly are settings of libpq that the driver would pass to the server, which would refuse them. They tune the client only.
var libpqOnly = []string{"gssencmode", "gsslib", "krbsrvname", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
	"tcp_user_timeout", "sslcompression", "sslcrl", "sslcrldir", "requirepeer", "hostaddr", "load_balance_hosts", "client_encoding", "fallback_application_name"}

// driverURL is what the driver parses: every part explicit, defaults from env filled in.
func (d *DSN) driverURL(env map[string]string) string {
	q := url.Values{}
	for key, values := range d.query {
		q.Set(key, values[len(values)-1])
	}
	for _, key := range libpqOnly {
		q.Del(key)
	}
	for key, variable := range driverKeys {
		if value := env[variable]; variable != "" && value != "" && !q.Has(key) {
			q.Set(key, value)
		}
	}
	defaults := map[string]string{"connect_timeout": "10", "sslmode": "prefer", "passfile": env["HOME"] + "/.pgpass"}
	if !d.Local() {
		defaults["sslmode"] = "require"
	}
	for key, value := range defaults {
		if !q.Has(key) {
			q.Set(key, value)
		}
	}
	for _, key := range []string{"sslcert", "sslkey", "sslrootcert"} {
		if !q.Has(key) && os.Getenv(driverKeys[key]) != "" {
			q.Set(key, "") // outvotes the stale value in Go's environment
		}
	}
	password := d.password
	if password == "" {
		password = env["PGPASSWORD"]
	}
	q.Set("host", d.Host)
	q.Set("port", strconv.Itoa(d.Port))
	q.Set("user", d.User)
	q.Set("password", password)
	q.Set("dbname", d.Database)
	return "postgres:///?" + strings.ReplaceAll(q.Encode(), "+", "%20") // the driver reads a + as a +, not as a space
}
