package creds

import "time"

// SetRandom makes c call f to draw a duration from 0 to d.
func (c *Cache[C]) SetRandom(f func(d time.Duration) time.Duration) { c.random = f }
