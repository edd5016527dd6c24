package creds

import "time"

// SetRandom lets f decide what c draws from the range of 0 to d.
func (c *Cache[C]) SetRandom(f func(d time.Duration) time.Duration) { c.random = f }
