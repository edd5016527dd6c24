package auth_test

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// TestNonceMemorySize fills a NonceMemory. It must take no more memory than documented, and release
// it once the nonces have ended.
func TestNonceMemorySize(t *testing.T) {
	const n = 1 << 17 // an eighth of the default
	heap := func() int {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc)
	}
	for _, tt := range []struct{ ids, most int }{{3, 35 << 20}, {n, 100 << 20}} {
		before := heap()
		m := &auth.NonceMemory{MaxPerID: n}
		now := testTime
		for i := range n {
			at := now.Add(time.Duration(i%60) * time.Second)
			id, nonce := strconv.Itoa(i%tt.ids), strconv.Itoa(i)
			fresh, err := m.ClaimAt(now, id, nonce, at.Add(time.Minute))
			if !fresh || err != nil {
				t.Fatal(fresh, err)
			}
		}
		full := heap() - before
		later := now.Add(time.Hour)
		if _, err := m.ClaimAt(later, "id", "n", later.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		kept := heap() - before
		runtime.KeepAlive(m)
		t.Logf("%d nonces of %d ids: %d B each, %d KiB kept", n, tt.ids, full/n, kept>>10)
		if full > tt.most/8 || kept > 64<<10 {
			t.Errorf("%d nonces of %d ids take %d bytes, and %d when they have ended",
				n, tt.ids, full, kept)
		}
	}
}
