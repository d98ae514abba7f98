package pg_test

import (
	"context"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// startingUp is how a server that recovers greets: FATAL 57P03.
var startingUp = []byte("E\x00\x00\x00\x3eSFATAL\x00VFATAL\x00C57P03\x00Mthe database system is starting up\x00\x00")

func TestAServerThatStartsUpIsWaitedFor(t *testing.T) {
	proxy := testkit.NewProxy(t, testkit.Server(t))
	proxy.Greet(startingUp, 3)
	dsn, err := pg.ParseDSN(proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	server, err := pg.Open(context.Background(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
}
