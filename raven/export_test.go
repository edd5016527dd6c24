package raven

import "time"

// StateKey is under which tests write sessions that an earlier login has left.
const StateKey = stateKey

// FillMemory leaves no room to remember another answer.
func (l *Login) FillMemory() {
	now := time.Now()
	for i := range maxRemembered {
		l.set.answers.add(nameAnswer(int64(i), ""), now, now.Add(time.Hour))
	}
}
