package schedule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func must(t testing.TB, text string) *Schedule {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestWindowIsOpenAtItsStartAndClosedAtItsEnd(t *testing.T) {
	s := must(t, "0 0 * * *")
	for _, c := range []struct {
		now      string
		interval time.Duration
		want     bool
	}{
		{"2026-01-05T00:00:00Z", time.Minute, true},
		{"2026-01-05T00:00:30Z", time.Minute, true},
		{"2026-01-05T00:00:30Z", 30 * time.Second, false},
		{"2026-01-05T00:00:30Z", 30*time.Second + time.Microsecond, true},
		{"2026-01-05T00:01:00Z", time.Minute, false},
		{"2026-01-04T23:59:59.999999Z", time.Minute, false},
		{"2026-01-05T00:00:00Z", 0, false},
		{"2026-01-05T00:00:00Z", time.Microsecond, true},
		{"2026-01-05T12:00:00Z", 100 * 365 * 24 * time.Hour, true},
	} {
		tick, due := s.Due(at(t, c.now), c.interval)
		if due != c.want || due && !tick.Equal(at(t, "2026-01-05T00:00:00Z")) {
			t.Errorf("%s, %s: %v %v, want %v", c.now, c.interval, tick, due, c.want)
		}
	}
}

func TestEitherDaySufficesWhenBothAreRestricted(t *testing.T) {
	// 2026-02-13 is a Friday, 2026-03-02 a Monday.
	for text, days := range map[string]string{
		"0 0 13 2 5":   "6 13 20 27",
		"0 0 13 2 *":   "13",
		"0 0 * 2 5":    "6 13 20 27",
		"0 0 */10 2 1": "1 2 9 11 16 21 23",
		"0 0 1 2 */6":  "1 7 8 14 15 21 22 28",
		"0 0 */1 2 1":  "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28",
	} {
		var fired []string
		for day := 1; day <= 28; day++ {
			if _, due := must(t, text).Due(time.Date(2026, 2, day, 0, 0, 0, 0, time.UTC), time.Minute); due {
				fired = append(fired, fmt.Sprint(day))
			}
		}
		if got := strings.Join(fired, " "); got != days {
			t.Errorf("%s fired on %s, want %s", text, got, days)
		}
	}
}

func TestTheLeapDayFiresInLeapYearsOnly(t *testing.T) {
	s := must(t, "0 0 29 2 *")
	for year, want := range map[int]string{2026: "2024-02-29", 2028: "2028-02-29", 1903: "1896-02-29", 2104: "2104-02-29", 2103: "2096-02-29"} {
		if tick, due := s.Due(time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC), 20*366*24*time.Hour); !due || tick.Format(time.DateOnly) != want {
			t.Errorf("at the end of %d: %v %v, want %s", year, tick, due, want)
		}
	}
	if _, due := s.Due(at(t, "2027-03-01T00:00:00Z"), 365*24*time.Hour); due {
		t.Error("2026-03 to 2027-03 has no 29 February")
	}
}

// fired are the times in the zone at which a schedule fires, asked minute by minute.
func fired(t testing.TB, text, from, to string) string {
	t.Helper()
	s := must(t, text)
	var times []string
	for now := at(t, from); now.Before(at(t, to)); now = now.Add(time.Minute) {
		if tick, due := s.Due(now, time.Minute); due {
			times = append(times, tick.In(s.zone).Format("15:04 MST"))
		}
	}
	return strings.Join(times, ", ")
}

func TestClockThatIsSetForward(t *testing.T) {
	for fields, want := range map[string]string{ // Berlin, 29 March 2026: after 01:59 CET comes 03:00 CEST
		"30 2 * * *":     "03:00 CEST",
		"0 2-4 * * *":    "03:00 CEST, 04:00 CEST",
		"*/20 2 * * *":   "03:00 CEST",
		"0 */2 * * *":    "00:00 CET, 04:00 CEST, 06:00 CEST, 08:00 CEST, 10:00 CEST, 12:00 CEST, 14:00 CEST, 16:00 CEST, 18:00 CEST, 20:00 CEST, 22:00 CEST",
		"30 1-3 * * sun": "01:30 CET, 03:00 CEST, 03:30 CEST",
	} {
		if got := fired(t, "CRON_TZ=Europe/Berlin "+fields, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"); got != want {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
	}
}

func TestClockThatIsSetBack(t *testing.T) {
	for fields, want := range map[string]string{ // Berlin, 25 October 2026: after 02:59 CEST comes 02:00 CET
		"30 2 * * *":   "02:30 CEST",
		"*/30 2 * * *": "02:00 CEST, 02:30 CEST",
		"0 3 * * *":    "03:00 CET",
		"40 * 25 10 *": "01:40 CEST, 02:40 CEST, 02:40 CET, 03:40 CET",
	} {
		if got := fired(t, "CRON_TZ=Europe/Berlin "+fields, "2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z"); got != want {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
	}
}

func TestOddZones(t *testing.T) {
	for _, c := range []struct{ text, from, to, want string }{
		{"CRON_TZ=Asia/Kathmandu 0 6 * * *", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z", "06:00 +0545"},
		{"CRON_TZ=Africa/Cairo @daily", "2026-04-23T21:00:00Z", "2026-04-24T20:00:00Z", "01:00 EEST"},                          // no midnight
		{"CRON_TZ=Pacific/Apia 0 12 * * *", "2011-12-29T11:00:00Z", "2011-12-31T09:00:00Z", "12:00 -10, 00:00 +14, 12:00 +14"}, // no 30 December
		{"CRON_TZ=America/St_Johns 0 0 * * *", "2010-11-07T00:00:00Z", "2010-11-08T03:00:00Z", "00:00 NDT"},                    // back over midnight
		{"CRON_TZ=Australia/Lord_Howe 10,40 1 * * *", "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z", "01:10 +11, 01:40 +11"},  // half an hour back
		{"CRON_TZ=Australia/Lord_Howe 10,40 2 * * *", "2026-10-03T13:00:00Z", "2026-10-04T12:00:00Z", "02:30 +11, 02:40 +11"},  // and forward
	} {
		if got := fired(t, c.text, c.from, c.to); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

// TestLastTickIsThatOfRobfigCron compares with the library's own way forward, on schedules and times that are drawn.
func TestLastTickIsThatOfRobfigCron(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 39))
	draw := func(min, max int) string {
		a, b := min+random.IntN(max-min+1), min+random.IntN(max-min+1)
		if a > b {
			a, b = b, a
		}
		return []string{"*", fmt.Sprint(a), fmt.Sprintf("%d-%d", a, b), fmt.Sprintf("%d,%d", b, a), fmt.Sprintf("%d-%d/%d", a, b, 1+random.IntN(5)), "*/7"}[random.IntN(6)]
	}
	compared := 0
	for range 3000 {
		text := strings.Join([]string{draw(0, 59), draw(0, 23), draw(1, 31), draw(1, 12), draw(0, 6)}, " ")
		theirs, err := cron.ParseStandard("CRON_TZ=UTC " + text)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := Parse(text)
		if err != nil {
			continue // a date that never comes
		}
		now := time.Date(2020+random.IntN(10), 1, 1, 0, 0, random.IntN(366*86400), 0, time.UTC)
		interval := time.Duration(1+random.IntN(4*86400)) * time.Second
		tick, due := ours.Due(now, interval)
		want, wantDue := lastByNext(theirs, now, interval)
		if due != wantDue || !tick.Equal(want) {
			t.Errorf("%s at %v, %v: %v %v, want %v %v", text, now, interval, tick, due, want, wantDue)
		}
		if due {
			compared++
		}
	}
	if compared < 500 {
		t.Errorf("only %d of them were due: the test says little", compared)
	}
}

// TestWindowsThatFollowEachOtherSeeEachTickOnce runs through a year with both changes of the clock.
func TestWindowsThatFollowEachOtherSeeEachTickOnce(t *testing.T) {
	s := must(t, "CRON_TZ=America/New_York 30 1,2 * * *")
	seen := map[time.Time]int{}
	step := 7*time.Minute + 13*time.Second
	for now := at(t, "2026-01-01T12:00:00Z"); now.Before(at(t, "2027-01-01T12:00:00Z")); now = now.Add(step) {
		if tick, due := s.Due(now, step); due {
			seen[tick]++
		}
	}
	for tick, times := range seen {
		if times != 1 {
			t.Errorf("%v was seen %d times", tick, times)
		}
	}
	if len(seen) != 2*365 {
		t.Errorf("%d ticks, want two a day", len(seen))
	}
}

func BenchmarkDueOfALongWindow(b *testing.B) {
	s, now := must(b, "CRON_TZ=Europe/Berlin * * 29 2 *"), at(b, "2027-12-31T00:00:00Z")
	for b.Loop() {
		s.Due(now, 250*365*24*time.Hour)
	}
}
