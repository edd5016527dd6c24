package browser

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A watch collects a browser's messages to developers about its pages: errors on the console,
// breaches of the Content-Security-Policy, and requests to other origins.
type watch struct {
	origins []string // that pages may send requests to

	mu        sync.Mutex                 // guards all below
	documents map[network.RequestID]bool // requests of whole pages, whose status the test sees
	faults    []string
}

// newWatch watches the tab of ctx from now on.
func newWatch(t *testing.T, ctx context.Context, origins []string) *watch {
	t.Helper()
	w := &watch{origins: origins, documents: make(map[network.RequestID]bool)}
	if err := chromedp.Listen(ctx, w.event); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// take returns the faults since the last call.
func (w *watch) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	faults := w.faults
	w.faults = nil
	return faults
}

func (w *watch) event(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type == network.ResourceTypeDocument {
			w.documents[e.RequestID] = true
		}
		if !w.allowed(e.Request.URL) {
			w.fault("a request to %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 && e.Type != network.ResourceTypeDocument {
			w.fault("status %d of %s", e.Response.Status, e.Response.URL)
		}
	case *log.EventEntryAdded:
		w.entry(e.Entry)
	case *runtime.EventConsoleAPICalled:
		w.fault("a page wrote to the console: %s", e.Type)
	case *runtime.EventExceptionThrown:
		w.fault("an exception: %s", e.ExceptionDetails.Text)
	case *audits.EventIssueAdded:
		w.fault("the browser has an issue: %s %s", e.Issue.Code, details(e.Issue.Details))
	}
}

// entry handles a line of the console.
func (w *watch) entry(e *log.Entry) {
	isStatus := e.Source == log.EntrySourceNetwork && w.documents[e.NetworkRequestID]
	if !isStatus {
		w.fault("the console says: %s: %s (%s)", e.Level, e.Text, e.URL)
	}
}

func (w *watch) allowed(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "data" || slices.Contains(w.origins, u.Scheme+"://"+u.Host))
}

// fault records a fault. The caller holds mu.
func (w *watch) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func details(d *audits.InspectorIssueDetails) string {
	if d == nil {
		return ""
	}
	if csp := d.ContentSecurityPolicyIssueDetails; csp != nil {
		return strings.Join([]string{csp.ViolatedDirective, csp.BlockedURL}, " ")
	}
	return fmt.Sprintf("%+v", *d)
}
