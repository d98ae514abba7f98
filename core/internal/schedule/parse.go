// Package schedule reads cron expressions and finds the times at which they fire. It asks no clock: the time is an argument.
//
// What reaches robfig/cron is not what the user wrote but a list of numbers for each field, made here: so its panics, the spellings that it takes
// and cron does not have (six fields, "?", "*-5", empty list members), and weekday 7, which it does not take, do not matter.
package schedule

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones mean the same on machines without a zone database

	"github.com/robfig/cron/v3"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// maxLength is in bytes: every value of every field, written out, is a third of it.
const maxLength = 1000

// shownLength is how much of an expression that is too long a message shows.
const shownLength = 80

// white is what separates fields.
const white = " \t\r\n"

const zonePrefix = "CRON_TZ="

// shorthands are the names for whole expressions.
var shorthands = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Schedule is a cron expression that has been read.
type Schedule struct {
	zone *time.Location

	minutes, hours, months uint64 // bit n is set where value n is meant
	daysOfMonth            uint64
	daysOfWeek             uint64
	// eitherDay: day of month and day of week are both restricted, and one of them is enough.
	eitherDay bool
	// byTheClock: the hours begin with a star, so the schedule follows the hands of the clock through a change of the zone's offset.
	byTheClock bool
}

// Parse reads a cron expression of five fields or a shorthand. Its fields are read in UTC, or in the zone of a leading "CRON_TZ=Zone ".
func Parse(text string) (s *Schedule, err error) {
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, refuse(text, 0, "it cannot be read (%v)", p)
		}
	}()
	if len(text) > maxLength {
		return nil, refuse(text[:shownLength]+"...", 0, "it has %d bytes, and at most %d are read", len(text), maxLength)
	}
	zone, rest, err := cutZone(text)
	if err != nil {
		return nil, err
	}
	words := split(text, rest)
	if len(words) == 0 {
		return nil, refuse(text, 0, "there are no fields").WithHint(fieldsHint)
	}
	if strings.HasPrefix(words[0].text, "@") {
		return shorthand(text, words, zone)
	}
	if len(words) != len(fields) {
		e := refuse(text, 0, "it has %d fields instead of five", len(words)).WithHint(fieldsHint)
		if len(words) == 6 {
			e.Hint = "There are no seconds: leave the sixth field out."
		}
		return nil, e
	}
	return read(text, words, zone)
}

const fieldsHint = `The fields are minute, hour, day of month, month and day of week: "0 3 * * *" is three o'clock every day. @hourly, @daily, @weekly, @monthly and @yearly work too.`

// word is a piece of the expression between white space, and where it begins.
type word struct {
	text string
	at   int // in bytes
}

// split finds the words from a place on. Spaces, tabs and line ends separate them.
func split(text string, from int) (words []word) {
	for at := from; at < len(text); {
		end := strings.IndexAny(text[at:], white)
		if end < 0 {
			end = len(text) - at
		}
		if end > 0 {
			words = append(words, word{text[at : at+end], at})
		}
		at += end + 1
	}
	return words
}

// cutZone reads a leading zone and says where the rest begins.
func cutZone(text string) (zone *time.Location, rest int, err error) {
	if strings.HasPrefix(text, "TZ=") {
		return nil, 0, refuse(text, 1, "a time zone is given as CRON_TZ=Zone").WithHint(`For example: "CRON_TZ=Europe/Berlin 0 3 * * *".`)
	}
	name, found := strings.CutPrefix(text, zonePrefix)
	if !found {
		return time.UTC, 0, nil
	}
	end := strings.IndexAny(name, white)
	if end < 0 {
		end = len(name)
	}
	name = name[:end]
	zone, err = time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" { // the last two are zones for Go: UTC, and whatever this machine has
		return nil, 0, refuse(text, len(zonePrefix)+1, "there is no time zone %q", name).
			WithHint("Zones are named as in the IANA database, with capitals: CRON_TZ=Europe/Berlin.")
	}
	return zone, len(zonePrefix) + end, nil
}

func shorthand(text string, words []word, zone *time.Location) (*Schedule, error) {
	name := strings.ToLower(words[0].text)
	e := refuse(text, words[0].at+1, "there is no shorthand %s", words[0].text)
	switch expression, found := shorthands[name]; {
	case found && len(words) == 1:
		return read(text, split(expression, 0), zone)
	case found:
		e = refuse(text, words[1].at+1, "there is something behind %s", words[0].text)
	case name == "@every":
		_ = e.WithHint(`A schedule names times of the clock, and nothing is remembered between calls to count from. Write "*/5 * * * *" for every five minutes.`)
	case name == "@reboot":
		_ = e.WithHint("A schedule names times of the clock.")
	default:
		_ = e.WithHint("The shorthands are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually.")
	}
	return nil, e
}

// read makes the schedule of five words.
func read(text string, words []word, zone *time.Location) (*Schedule, error) {
	lists := make([]string, len(fields))
	for i, f := range fields {
		values, problem := f.values(words[i].text)
		if problem != nil {
			return nil, refuse(text, words[i].at+problem.at+1, "%s: %s", f.name, problem.text).WithHint("%s", problem.hint)
		}
		lists[i] = list(values)
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(strings.Join(lists, " "))
	if err != nil {
		return nil, refuse(text, 0, "it cannot be read (%s)", err)
	}
	bits, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, refuse(text, 0, "it cannot be read (%T)", parsed)
	}
	s := &Schedule{
		zone: zone, minutes: bits.Minute, hours: bits.Hour, months: bits.Month, daysOfMonth: bits.Dom, daysOfWeek: bits.Dow,
		eitherDay:  words[dayOfMonth].text != "*" && words[dayOfWeek].text != "*",
		byTheClock: strings.HasPrefix(words[hour].text, "*"),
	}
	if !s.comes() {
		return nil, refuse(text, words[dayOfMonth].at+1, "no month that it names has such a day of month, so it never fires")
	}
	return s, nil
}

// comes reports whether there is a date that the schedule means. Any day of week comes in any month.
func (s *Schedule) comes() bool {
	if s.eitherDay {
		return true
	}
	longest := [...]int{1: 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	for month := 1; month <= 12; month++ {
		if has(s.months, month) && s.daysOfMonth&(1<<(longest[month]+1)-1) != 0 {
			return true
		}
	}
	return false
}

func has(set uint64, value int) bool { return set>>value&1 == 1 }

// refuse makes the error for an expression; at is the character, counted from 1, or 0 for the whole of it.
func refuse(text string, at int, format string, args ...any) *fault.Error {
	where := ""
	if at > 0 {
		where = fmt.Sprintf("at character %d, ", at)
	}
	return fault.New(fault.InvalidSchedule, "The schedule \"%s\" is not a cron expression: %s%s.", text, where, fmt.Sprintf(format, args...))
}
