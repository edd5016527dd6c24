package issue_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/provision/issue"
)

// A hundred thousand clients that prove nothing leave nothing behind: no state, and no write to the
// Store.
func TestStrangersLeaveNothing_S2(t *testing.T) {
	const strangers = 100_000
	store := new(mapStore)
	registry := &issue.Registry{Store: store}
	h := &issue.Handler{
		Auth: users(), Issue: registry.Issue,
		PerAddress: new(auth.Limiter), PerSubject: new(auth.Limiter),
	}
	ask := func(i int) {
		req := httptest.NewRequest("POST", "/provision", nil)
		req.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1234", i>>16&255, i>>8&255, i&255)
		switch i % 4 {
		case 0: // no credentials
		case 1:
			req.SetBasicAuth("ann", fmt.Sprint("wrong ", i))
		case 2:
			req.SetBasicAuth(fmt.Sprint("stranger ", i), password)
		case 3:
			req.Header.Set("Authorization",
				fmt.Sprintf(`MAC id="%d", ts="1", nonce="n", mac="bQ=="`, i))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code == http.StatusOK {
			t.Fatal("a stranger has credentials")
		}
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for i := range 1000 { // the Limiters take their memory at their first use
		ask(i)
	}
	before := heap()
	for i := range strangers {
		ask(i)
	}
	grown := heap() - before
	runtime.KeepAlive(h)
	t.Logf("figure 6 (issue.Handler): %d strangers, %d KiB more, %d calls of the Store",
		strangers, grown>>10, store.calls)
	if grown > 1<<20 || store.calls != 0 {
		t.Errorf("%d bytes more, %d calls of the Store", grown, store.calls)
	}
}
