package pg

import (
	"net/url"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		// URLs without a password are shown as they are.
		{"postgres://h/db", "postgres://h/db"},
		{"postgresql://user@h:5432/db", "postgresql://user@h:5432/db"},
		{"postgresql://user:@h/db", "postgresql://user:@h/db"},
		{"postgresql://user@/db?host=/run/postgresql&port=5433", "postgresql://user@/db?host=/run/postgresql&port=5433"},
		{"postgresql://h/db?sslmode=require&foo=bar", "postgresql://h/db?sslmode=require&foo=bar"},
		{"postgresql://u@[::1]:5432/db", "postgresql://u@[::1]:5432/db"},
		// The password of the user part, however it is written.
		{"postgres://user:secret@host/db", "postgres://user:***@host/db"},
		{"POSTGRES://user:secret@host/db", "POSTGRES://user:***@host/db"},
		{"postgres://:secret@host/db", "postgres://:***@host/db"},
		{"postgres://user:s@cr:e/t?#@host:5432/db?sslmode=require", "postgres://user:***@host:5432/db?sslmode=require"},
		{"postgres://user:s%40cret@host/db", "postgres://user:***@host/db"},
		{"postgres://user%3Asecret@host/db", "postgres://user%3A***@host/db"},
		{"postgres://wh:${WAREHOUSE_PASSWORD}@host/db", "postgres://wh:***@host/db"},
		{"postgres://user:secret@@host/db", "postgres://user:***@host/db"},
		// The password of the query part.
		{"postgres://u@h/db?password=secret", "postgres://u@h/db?password=***"},
		{"postgres://u@h/db?sslmode=require&password=secret&application_name=x", "postgres://u@h/db?sslmode=require&password=***&application_name=x"},
		{"postgres://u@h/db?PassWord=secret", "postgres://u@h/db?PassWord=***"},
		{"postgres://u@h/db?p%61ssword=secret", "postgres://u@h/db?p%61ssword=***"},
		{"postgres://u@h/db?sslpassword=se#cret", "postgres://u@h/db?sslpassword=***"},
		{"postgres://u@h/db?password=sec&ret", "postgres://u@h/db?password=***&***"},
		{"postgres://u@h/db?password=sec&ret=x&sslmode=require", "postgres://u@h/db?password=***&***&sslmode=require"},
		{"postgres://u@h/db?password=", "postgres://u@h/db?password="},
		{"postgres://u@h/db?options=-c%20my.secret%3Dx", "postgres://u@h/db?options=***"},
		{"postgres://u@h/db?passfile=/home/u/.pgpass", "postgres://u@h/db?passfile=/home/u/.pgpass"},
		{"postgres://u@h/db?%zz=secret", "postgres://u@h/db?***"},
		// An @ that may stand inside a secret.
		{"postgres://u:pw@h/db?password=s@cret", "***"},
		{"postgres://h:5432/db?password=s@cret", "***"},
		{"postgres://h:5432/db?p%61ssword=s@cret", "***"},
		{"postgres://h/db?password=s@cret", "***"},
		{"postgres://h/db?a=b@c", "***"},
		// libpq's other form.
		{"host=h user=u dbname=d", "host=h user=u dbname=d"},
		{"host=h password=secret user=u", "host=h password=*** user=u"},
		{"host=h password = 'se cr\\'et' user=u", "host=h password = *** user=u"},
		{`host=h password=se\ cret user=u`, "host=h password=*** user=u"},
		{"password=", "password="},
		{"host=h password='secret", "***"},
		{"host=h password=sec ret user=u", "***"},
		{"host=h password=sec r=et user=u", "***"},
		{"host=h password='sec'ret user=u", "***"},
		{"host=h options='-c x.password=y'", "host=h options=***"},
		// Neither.
		{"", "***"},
		{"secret", "***"},
		{"mysql://u:secret@h/db", "***"},
		{"postgresql+psycopg://u:secret@h/db", "***"},
		{" postgres://u:secret@h/db", "***"},
		{"postgres:/u:secret@h/db", "***"},
		{"postgres://u:secret@h:port/db", "***"},
		{"postgres://\x1b[31mu:secret@h/db", "***"},
		{"embedded://default", "embedded://default"},
		{"embedded:", "embedded:"},
		{"embedded://u:secret@h", "***"},
	} {
		if got := Redact(c.raw); got != c.want {
			t.Errorf("Redact(%q) = %q, want %q", c.raw, got, c.want)
		}
	}
}

// FuzzRedact puts a canary into a password, among whatever the fuzzer finds, in every place where a DSN can have one.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{"", "@", ":", "/", "?", "#", "%", "%40", " ", "'", `\`, "&", "=", "@h:1/", "?password=", "&host=", "%3A", "\n", "://", "@[::1]"} {
		f.Add(seed, "")
		f.Add("", seed)
		f.Add("x"+seed, seed+"y")
	}
	const canary = "Canary42"
	f.Fuzz(func(t *testing.T, before, after string) {
		secret := before + canary + after
		inQuotes := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(secret)
		dsns := []string{
			"postgres://user:" + secret + "@host/db",
			"postgresql://user:" + secret + "@host:5432/db?sslmode=require",
			"postgresql://user:" + url.QueryEscape(secret) + "@host/db",
			"postgresql://user@host/db?password=" + url.QueryEscape(secret) + "&sslmode=require",
			"postgresql://host:5432/db?sslmode=require&sslpassword=" + url.QueryEscape(secret),
			"host=h password='" + inQuotes + "' user=u",
		}
		if !strings.Contains(secret, "&") { // where a parameter ends there, no one can tell
			dsns = append(dsns, "postgresql://user@host/db?password="+secret, "postgresql://host:5432/db?password="+secret, "postgresql://user:pw@host/db?password="+secret)
		}
		if !strings.Contains(secret, "=") {
			dsns = append(dsns, "host=h user=u password="+secret, "mysql://"+secret, secret)
		}
		for _, dsn := range dsns {
			if shown := Redact(dsn); strings.Contains(shown, canary) {
				t.Errorf("Redact(%q) = %q", dsn, shown)
			}
		}
	})
}
