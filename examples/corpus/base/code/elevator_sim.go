// A lift that sweeps up and down, serving calls in its direction of travel.
package main

import "fmt"

type direction int

const (
	down direction = -1
	idle direction = 0
	up   direction = 1
)

type Lift struct {
	floor, top int
	heading    direction
	stops      []bool // stops[f] is true while somebody wants floor f
}

func NewLift(floors int) *Lift {
	return &Lift{top: floors - 1, stops: make([]bool, floors)}
}

// wantedTowards tells whether a stop lies strictly beyond the present floor.
func (l *Lift) wantedTowards(d direction) bool {
	for f := l.floor + int(d); f >= 0 && f <= l.top; f += int(d) {
		if l.stops[f] {
			return true
		}
	}
	return false
}

// Step advances by one tick and describes what happened.
func (l *Lift) Step() string {
	if l.stops[l.floor] {
		l.stops[l.floor] = false
		return fmt.Sprintf("doors open on %d", l.floor)
	}
	// Keep going while there is work ahead, otherwise try the other way.
	if l.heading == idle || !l.wantedTowards(l.heading) {
		previous := l.heading
		l.heading = idle
		for _, d := range []direction{up, down} {
			if d != previous && l.wantedTowards(d) {
				l.heading = d
				break
			}
		}
	}
	if l.heading == idle {
		return "waiting"
	}
	l.floor += int(l.heading)
	return fmt.Sprintf("passing to %d", l.floor)
}

func main() {
	lift := NewLift(8)
	calls := map[int][]int{0: {5}, 3: {2, 7}, 9: {0}, 12: {6}}
	for tick := 0; tick < 20; tick++ {
		for _, floor := range calls[tick] {
			lift.stops[floor] = true
		}
		fmt.Println(tick, lift.Step())
	}
}
