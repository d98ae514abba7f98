package schedule

import "time"

// longestGap is in days: no two dates of a schedule are farther apart than 29 February 1896 and 1904, and some days for changes of the zone.
const longestGap = 8*366 + 3

// Due is the last time at which the schedule fires in (now-interval, now], and whether there is one. What it costs does not grow with the interval.
//
// In a zone whose clock is set forward or back, a schedule whose hours begin with a star follows the hands of the clock. Any other fires once for each
// time of day that it names: a time that the clock jumps over is made up for at the jump, and one that comes twice counts the first time.
func (s *Schedule) Due(now time.Time, interval time.Duration) (tick time.Time, due bool) {
	if interval <= 0 {
		return time.Time{}, false
	}
	after := now.Add(-interval)
	year, month, day := now.In(s.zone).Date()
	// Tomorrow first: where the clock is set back over midnight, tomorrow has already been once.
	for back := -1; back < longestGap; back++ {
		date := time.Date(year, month, day-back, 0, 0, 0, 0, time.UTC)
		if back > 1 && (due || date.Before(after.AddDate(0, 0, -2))) { // a civil day lies less than two days beside that of UTC
			break
		}
		if !s.on(date) {
			continue
		}
		if at, found := s.lastOf(date, now); found && at.After(after) && (!due || at.After(tick)) {
			tick, due = at, true
		}
	}
	return tick, due
}

// on reports whether the schedule means a date.
func (s *Schedule) on(date time.Time) bool {
	ofMonth, ofWeek := has(s.daysOfMonth, date.Day()), has(s.daysOfWeek, int(date.Weekday()))
	if s.eitherDay {
		return has(s.months, int(date.Month())) && (ofMonth || ofWeek)
	}
	return has(s.months, int(date.Month())) && ofMonth && ofWeek
}

// lastOf is the last time of a date, a midnight in UTC, that is not after now.
func (s *Schedule) lastOf(date, now time.Time) (last time.Time, found bool) {
	for hour := 23; hour >= 0; hour-- {
		if !has(s.hours, hour) {
			continue
		}
		for minute := 59; minute >= 0; minute-- {
			if !has(s.minutes, minute) {
				continue
			}
			for _, at := range s.instants(date.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)) {
				if !at.After(now) && (!found || at.After(last)) {
					last, found = at, true
				}
			}
		}
	}
	return last, found
}

// instants are the times that a reading of the clock in the zone, given as if it were UTC, stands for.
func (s *Schedule) instants(reading time.Time) []time.Time {
	before, after := s.offset(reading.Add(-24*time.Hour)), s.offset(reading.Add(24*time.Hour))
	earlier, later := reading.Add(-before), reading.Add(-after)
	if before == after {
		return []time.Time{earlier}
	}
	first, second := s.offset(earlier) == before, s.offset(later) == after
	switch {
	case first && second && s.byTheClock:
		return []time.Time{earlier, later}
	case first: // also when it comes twice: the offset from before the change gives the first time
		return []time.Time{earlier}
	case second:
		return []time.Time{later}
	case s.byTheClock:
		return nil
	}
	jump, _ := earlier.In(s.zone).ZoneBounds()
	return []time.Time{jump.UTC()}
}

// offset is how far the zone's clock is ahead of UTC.
func (s *Schedule) offset(at time.Time) time.Duration {
	_, seconds := at.In(s.zone).Zone()
	return time.Duration(seconds) * time.Second
}
