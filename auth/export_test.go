package auth

import "time"

// ClaimAt is Claim with another clock. If now has no monotonic reading, the monotonic clock follows
// the wall clock, but never goes back.
func (m *NonceMemory) ClaimAt(now time.Time, id, nonce string, until time.Time) (bool, error) {
	return m.claim(m.read(now), id, nonce, until)
}

// ClaimBy is Claim with other clocks: the wall clock, and the time that has passed on the monotonic
// clock.
func (m *NonceMemory) ClaimBy(wall time.Time, elapsed time.Duration, id, nonce string,
	until time.Time) (bool, error) {
	return m.claim(reading{wall.Unix(), elapsed}, id, nonce, until)
}

// Forgotten returns the number of ranges in m's record of forgotten slots.
func (m *NonceMemory) Forgotten() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.forgotten)
}

// Held returns the number of nonces, slots and ids that m holds.
func (m *NonceMemory) Held() (nonces, slots, ids int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total, len(m.slots), len(m.perID)
}
