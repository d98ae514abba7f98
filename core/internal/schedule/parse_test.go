package schedule

import (
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

func TestParseRefusesWhatIsNoCronExpression(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "there are no fields",
		" \t\n":                   "there are no fields",
		"* * * *":                 "it has 4 fields instead of five",
		"0 * * * * *":             "it has 6 fields instead of five",
		"whenever":                "it has 1 fields instead of five",
		"60 * * * *":              "at character 1, minute: 60 is not from 0 to 59",
		"0 24 * * *":              "at character 3, hour: 24 is not from 0 to 23",
		"0 0 0 * *":               "at character 5, day of month: 0 is not from 1 to 31",
		"0 0 32 * *":              "at character 5, day of month: 32 is not from 1 to 31",
		"0 0 * 13 *":              "at character 7, month: 13 is not from 1 to 12",
		"0 0 * * 8":               "at character 9, day of week: 8 is not from 0 to 7",
		"0  0 * * 1,2-8":          "at character 14, day of week: 8 is not from 0 to 7",
		"5-1 * * * *":             "at character 1, minute: the range 5-1 is reversed",
		"*/0 * * * *":             `at character 3, minute: the step "0" is not a whole number of at least 1`,
		"*/ * * * *":              `at character 3, minute: the step "" is not a whole number of at least 1`,
		"1/2/3 * * * *":           `at character 3, minute: the step "2/3" is not a whole number of at least 1`,
		"1,,2 * * * *":            "at character 3, minute: a value is missing",
		"1-2-3 * * * *":           `at character 3, minute: "2-3" is not a number`,
		"*-5 * * * *":             `at character 1, minute: "*" is not a number`,
		"-5 * * * *":              "at character 1, minute: a value is missing",
		"+5 * * * *":              `at character 1, minute: "+5" is not a number`,
		"mon * * * *":             `at character 1, minute: "mon" is not a number`,
		"0 0 ? * *":               `at character 5, day of month: "?" is not a number`,
		"0 0 L * *":               `at character 5, day of month: "L" is not a number`,
		"0 0 * * sat#1":           `at character 9, day of week: "sat#1" is neither a number nor a name of it`,
		"0 0 * jam *":             `at character 7, month: "jam" is neither a number nor a name of it`,
		"99999999999999 * * * *":  `at character 1, minute: "99999999999999" is not a number`,
		"0 0 30 2 *":              "at character 5, no month that it names has such a day of month, so it never fires",
		"0 0 31 4,6,9,11 *":       "at character 5, no month that it names has such a day of month, so it never fires",
		"@every 0s":               "at character 1, there is no shorthand @every",
		"@reboot":                 "at character 1, there is no shorthand @reboot",
		"@":                       "at character 1, there is no shorthand @",
		"@daily *":                "at character 8, there is something behind @daily",
		"TZ=UTC":                  "at character 1, a time zone is given as CRON_TZ=Zone",
		"TZ=UTC 0 0 * * *":        "at character 1, a time zone is given as CRON_TZ=Zone",
		"CRON_TZ=":                `at character 9, there is no time zone ""`,
		"CRON_TZ= 0 0 * * *":      `at character 9, there is no time zone ""`,
		"CRON_TZ=UTC":             "there are no fields",
		"CRON_TZ=Nowhere * * * *": `at character 9, there is no time zone "Nowhere"`,
		"CRON_TZ=Local * * * * *": `at character 9, there is no time zone "Local"`,
		"CRON_TZ=../UTC * * * *":  `at character 9, there is no time zone "../UTC"`,
		"CRON_TZ=UTC 61 * * * *":  "at character 13, minute: 61 is not from 0 to 59",
	} {
		_, err := Parse(text)
		if !fault.Is(err, fault.InvalidSchedule) {
			t.Errorf("Parse(%q) = %v, want an InvalidSchedule", text, err)
			continue
		}
		got, _, _ := strings.Cut(err.Error(), "\n")
		if text != "" && strings.Contains(text, "\n") {
			got = err.Error()[:strings.LastIndex(err.Error(), "\n")]
		}
		if full := `The schedule "` + text + `" is not a cron expression: ` + want + "."; got != full {
			t.Errorf("Parse(%q):\n%s\nwant:\n%s", text, got, full)
		}
	}
}

func TestParseDoesNotRepeatAnExpressionWithoutEnd(t *testing.T) {
	_, err := Parse(strings.Repeat("*/1,", 1_000_000))
	if !fault.Is(err, fault.InvalidSchedule) || len(err.Error()) > 300 {
		t.Errorf("got %.400s", err)
	}
}

func TestParseReadsEveryForm(t *testing.T) {
	for text, want := range map[string]string{
		"5 * * * *": "5", "1-4 * * * *": "1,2,3,4", "9,7,8 * * * *": "7,8,9", "*/20 * * * *": "0,20,40", "10-20/5 * * * *": "10,15,20",
		"50/4 * * * *": "50,54,58", "5/100 * * * *": "5", "05 * * * *": "5", "1,1-2,*/30 * * * *": "0,1,2,30",
	} {
		if s, err := Parse(text); err != nil || list(s.minutes) != want {
			t.Errorf("Parse(%q) minutes: %v, %v, want %s", text, s, err, want)
		}
	}
	for text, want := range map[string]string{
		"7": "0", "0": "0", "5-7": "0,5,6", "1,7": "0,1", "5-7/2": "0,5", "0-7": "0,1,2,3,4,5,6", "*/2": "0,2,4,6", "3/2": "0,3,5", "7/2": "0", "SUN": "0",
		"mon-fri": "1,2,3,4,5", "Sat-Sun": "0,6", "sun-tue": "0,1,2", "sun-sun": "0,1,2,3,4,5,6", "mon,Wed": "1,3", "1-fri/2": "1,3,5",
	} {
		if s, err := Parse("0 0 * * " + text); err != nil || list(s.daysOfWeek&(1<<7-1)) != want {
			t.Errorf("Parse(%q) days of week: %v, %v, want %s", text, s, err, want)
		}
	}
	if s, err := Parse("\t0 0 * JAN,mar-may,12 *\n"); err != nil || list(s.months) != "1,3,4,5,12" {
		t.Errorf("months: %v, %v", s, err)
	}
}

func TestParseTakesNamesOfWholeExpressions(t *testing.T) {
	for name, expression := range shorthands {
		short, err := Parse("CRON_TZ=Asia/Tokyo " + strings.ToUpper(name))
		long, longErr := Parse("CRON_TZ=Asia/Tokyo " + expression)
		if err != nil || longErr != nil || short.minutes != long.minutes || short.hours != long.hours || short.daysOfMonth != long.daysOfMonth ||
			short.months != long.months || short.daysOfWeek != long.daysOfWeek || short.zone.String() != "Asia/Tokyo" {
			t.Errorf("%s: %v (%v), want %v", name, short, err, long)
		}
	}
}

// FuzzParse holds that no text ends the process, that only InvalidSchedule comes back, and that what is read fires as robfig/cron says.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"* * * * *", "*/5 8-18 * * mon-fri", "0 0 29 2 *", "0 0 13 * 5", "0 0 */2 * */3", "CRON_TZ=Europe/Berlin 30 2 * * *", "@weekly", "0 0 * * 5-7/2",
		"TZ=", "CRON_TZ=", "CRON_TZ=UTC", "TZ=UTC", "0 0 30 2 *", "* * * * * *", "@every 0s", "@every", "? ? ? ? ?", "*/0 * * * *", "1-1/1,2,3/59 0 * * sun",
		"CRON_TZ=\x00 * * * * *", "\xff\xfe", "0 0 L * *", "18446744073709551616 * * * *", "CRON_TZ=UTC CRON_TZ=UTC * * * *", ", , , , ,", "1-,-1 * * * *",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if !fault.Is(err, fault.InvalidSchedule) {
				t.Fatalf("Parse(%q) = %v", text, err)
			}
			return
		}
		from := time.Date(2027, 12, 30, 23, 59, 30, 0, time.UTC)
		tick, due := s.Due(from, time.Hour)
		if s.zone != time.UTC {
			return
		}
		bits := &cron.SpecSchedule{Second: 1, Minute: s.minutes, Hour: s.hours, Dom: s.daysOfMonth, Month: s.months, Dow: s.daysOfWeek, Location: time.UTC}
		if !s.eitherDay {
			bits.Dom |= 1 << 63
		}
		want, wantDue := lastByNext(bits, from, time.Hour)
		if due != wantDue || !tick.Equal(want) {
			t.Errorf("%q: Due = %v %v, robfig/cron says %v %v", text, tick, due, want, wantDue)
		}
	})
}

// lastByNext finds the last time in a window the long way.
func lastByNext(s cron.Schedule, now time.Time, interval time.Duration) (tick time.Time, due bool) {
	for at := s.Next(now.Add(-interval)); !at.IsZero() && !at.After(now); at = s.Next(at) {
		tick, due = at, true
	}
	return tick, due
}
