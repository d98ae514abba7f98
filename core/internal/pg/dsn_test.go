package pg

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

func TestTheDriverReadsWhatTheURLSays(t *testing.T) {
	const password = `a b+c%d@/:?#&="'\`
	dsn, err := ParseDSN("postgresql://" + url.UserPassword("u s", password).String() + "@127.0.0.1:5433/my%20db?options=-c%20work_mem%3D5MB")
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(dsn.driverURL(map[string]string{"HOME": "/nowhere"}))
	if err != nil {
		t.Fatal(err)
	}
	if config.User != "u s" || config.Password != password || config.Database != "my db" || config.Port != 5433 || config.RuntimeParams["options"] != "-c work_mem=5MB" {
		t.Errorf("user %q password %q database %q port %d options %q", config.User, config.Password, config.Database, config.Port, config.RuntimeParams["options"])
	}
}

func TestURLsThatAreNoneAreRefusedAndNotShown(t *testing.T) {
	for text, lacks := range map[string]string{
		"": "", "canary": "", "mysql://u:canary@h/d": "", "host=h password=canary": "", "postgres://u:canary@h:x/d": "", "postgres://u:canary@h:99999/d": "",
		"postgres://u:canary@/d": "lacks the host", "postgres://u:canary@h": "lacks the database", "postgres://h/canary": "lacks the user", "postgres://u:can%zzary@h/d": "",
	} {
		_, err := ParseDSN(text)
		if !fault.Is(err, fault.ConfigError) {
			t.Errorf("ParseDSN(%q) = %v, want ConfigError", text, err)
			continue
		}
		if message := err.Error(); strings.Contains(message, "canary") || !strings.Contains(message, lacks) {
			t.Errorf("ParseDSN(%q): %s", text, message)
		}
	}
}

func TestTheSameDatabaseIsTheSameTextOfHostPortDatabaseAndUser(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"postgres://u@h/d", "postgresql://u:p@h:5432/d?sslmode=disable", true},
		{"postgres://u@/d?host=/run", "postgres://u@/d?host=/run&port=5432", true},
		{"postgres://u@localhost/d", "postgres://u@127.0.0.1/d", false},
		{"postgres://u@h/d", "postgres://v@h/d", false},
		{"postgres://u@h/d", "postgres://u@h:5433/d", false},
		{"postgres://u@h/d", "postgres://u@h/e", false},
	} {
		a, errA := ParseDSN(c.a)
		b, errB := ParseDSN(c.b)
		if errA != nil || errB != nil || a.Same(b) != c.want {
			t.Errorf("%s and %s: want %v (%v, %v)", c.a, c.b, c.want, errA, errB)
		}
	}
}
