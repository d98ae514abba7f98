package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

// field is one of the five, with the values that it takes.
type field struct {
	name     string
	min, max int
	names    map[string]int
}

// The places of the fields that have a meaning beside their values.
const (
	hour       = 1
	dayOfMonth = 2
	dayOfWeek  = 4
)

var fields = []field{
	{name: "minute", min: 0, max: 59},
	{name: "hour", min: 0, max: 23},
	{name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: map[string]int{
		"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	}},
	{name: "day of week", min: 0, max: 7, names: map[string]int{"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}},
}

// problem is what is wrong with a field, and at which byte of it.
type problem struct {
	at         int
	text, hint string
}

// values is the set that a field means, as bits; 7 as day of week is the Sunday that 0 is.
func (f field) values(text string) (uint64, *problem) {
	var set uint64
	at := 0
	for member := range strings.SplitSeq(text, ",") {
		from, to, step, wrong := f.member(member)
		if wrong != nil {
			wrong.at += at
			return 0, wrong
		}
		for value := from; value <= to; value += step {
			set |= 1 << value
		}
		at += len(member) + 1
	}
	if f.max == 7 && has(set, 7) {
		set = set&^(1<<7) | 1
	}
	return set, nil
}

// member reads one of a list: *, a, a-b, and each of them with /n.
func (f field) member(text string) (from, to, step int, wrong *problem) {
	span, every, stepped := strings.Cut(text, "/")
	step = 1
	if stepped {
		n, ok := number(every)
		if !ok || n == 0 {
			return 0, 0, 0, &problem{at: len(span) + 1, text: fmt.Sprintf("the step %q is not a whole number of at least 1", every)}
		}
		step = min(n, f.max+1)
	}
	if span == "*" {
		return f.min, f.max, step, nil
	}
	first, last, ranged := strings.Cut(span, "-")
	if from, wrong = f.value(first); wrong != nil {
		return 0, 0, 0, wrong
	}
	switch {
	case ranged:
		if to, wrong = f.value(last); wrong != nil {
			wrong.at += len(first) + 1
			return 0, 0, 0, wrong
		}
		if strings.EqualFold(last, "sun") {
			to = f.max // sat-sun ends with the Sunday after it
		}
	case stepped:
		to = f.max
	default:
		to = from
	}
	if from > to {
		return 0, 0, 0, &problem{text: fmt.Sprintf("the range %s is reversed", span), hint: fmt.Sprintf("Write it as two: %s-%d,%d-%s.", first, f.max, f.min, last)}
	}
	return from, to, step, nil
}

// value reads a number or a name.
func (f field) value(text string) (int, *problem) {
	if named, ok := f.names[strings.ToLower(text)]; ok {
		return named, nil
	}
	n, ok := number(text)
	if !ok {
		wrong := &problem{text: fmt.Sprintf("%q is neither a number nor a name of it", text)}
		switch {
		case text == "":
			wrong.text = "a value is missing"
		case f.names == nil:
			wrong.text = fmt.Sprintf("%q is not a number", text)
		}
		switch {
		case strings.EqualFold(text, "L") || strings.Contains(text, "#") || strings.EqualFold(text, "W"):
			wrong.hint = "L, W and # are not read: let a daily schedule run, and the query look at the date."
		case text == "?":
			wrong.hint = "Write * for any value."
		}
		return 0, wrong
	}
	if n < f.min || n > f.max {
		return 0, &problem{text: fmt.Sprintf("%s is not from %d to %d", text, f.min, f.max)}
	}
	return n, nil
}

// number reads digits, and no sign. No value that is meant has more than nine.
func number(text string) (int, bool) {
	if text == "" || len(text) > 9 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// list writes a set as numbers with commas.
func list(set uint64) string {
	var values []string
	for value := range 64 {
		if has(set, value) {
			values = append(values, strconv.Itoa(value))
		}
	}
	return strings.Join(values, ",")
}
