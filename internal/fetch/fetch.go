// Package fetch sends a request for a small JSON object and reads the answer. It limits the time,
// the size, the redirects, the depth of the object, and the text that an error may repeat.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/countersign-go/countersign/internal/httptime"
	"github.com/countersign-go/countersign/internal/origin"
	"github.com/countersign-go/countersign/internal/strictjson"
)

const (
	// Timeout is how long a call may take, including its redirects and the body.
	Timeout = 30 * time.Second
	// MaxBody is the largest answer that Do reads, in bytes.
	MaxBody = strictjson.MaxSize

	maxHops = 3
)

// An Answer is an answer with a 2xx status.
type Answer struct {
	Status   int
	Header   http.Header
	Object   map[string]any // as package strictjson reads it
	Received time.Time      // by the clock of this machine, when the header had arrived
}

// Date returns the time by the server's clock when the answer arrived; see [httptime.Now].
func (a *Answer) Date() (time.Time, bool) { return httptime.Now(a.Header) }

// Wait returns how long the server asks clients to wait: the longest time in Retry-After, X-Backoff
// and Backoff, but at most MaxWait. It returns 0 if the server does not ask for a wait.
func (a *Answer) Wait() time.Duration {
	var wait time.Duration
	for _, name := range []string{"Retry-After", "X-Backoff", "Backoff"} {
		wait = max(wait, httptime.Wait(a.Header, name, a.Received))
	}
	return min(wait, MaxWait)
}

// Do sends req through a copy of client and reads the answer, which must be a JSON object, whatever
// its Content-Type. Do follows a redirect within the origin of req if the request stays the same:
// 307 and 308, and for a GET also 301, 302 and 303. Each error is an [*Error].
func Do(client *http.Client, req *http.Request) (*Answer, error) {
	return DoUpTo(client, req, MaxBody)
}

// DoUpTo is [Do] for an answer of up to maxBody bytes.
func DoUpTo(client *http.Client, req *http.Request, maxBody int) (*Answer, error) {
	ctx, cancel := context.WithTimeout(req.Context(), Timeout)
	defer cancel()
	c := *client
	c.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if err := allowed(next, via); err != nil || client.CheckRedirect == nil {
			return err
		}
		return client.CheckRedirect(next, via)
	}
	resp, err := c.Do(req.WithContext(ctx))
	if err != nil {
		return nil, failure(resp, err)
	}
	defer resp.Body.Close()
	// A RoundTripper that follows redirects by itself has not called CheckRedirect.
	if r := resp.Request; r != nil && r.URL != nil && origin.Of(r.URL) != origin.Of(req.URL) {
		return nil, &Error{Err: errOtherOrigin}
	}
	a := &Answer{Status: resp.StatusCode, Header: resp.Header, Received: time.Now()}
	if a.Status < 200 || a.Status > 299 {
		return nil, a.Useless(nil)
	}
	body, err := io.ReadAll(io.LimitReader(timely{ctx, resp.Body}, int64(maxBody)+1))
	if err != nil {
		e := a.Useless(Plain(err))
		e.Broken = true
		return nil, e
	}
	// A parser may ignore a byte order mark (RFC 8259, section 8.1), which some servers send.
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	a.Object, err = strictjson.Limits{Size: maxBody}.Object(body)
	switch {
	case err != nil && isPage(resp.Header.Get("Content-Type")):
		return nil, a.Useless(errPage)
	case err != nil:
		return nil, a.Useless(err)
	}
	return a, nil
}

var (
	errOtherOrigin = errors.New("a redirect to another origin, which is not followed")
	errRedirect    = errors.New("a redirect that would change the request, which is not followed")
	errTooMany     = errors.New("too many redirects")
	errPage        = errors.New("a web page instead of JSON")
)

// allowed returns an error for a redirect that must not be followed. A 301, 302 or 303 would turn a
// POST into a GET; a GET stays the same (RFC 9110, section 15.4).
func allowed(next *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case origin.Of(next.URL) != origin.Of(first.URL):
		return errOtherOrigin
	case next.Method != first.Method:
		return errRedirect
	case len(via) > maxHops:
		return errTooMany
	}
	return nil
}

// timely is a body that ends with ctx, even if its own Read ignores that.
type timely struct {
	ctx  context.Context
	body io.Reader
}

func (t timely) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	return t.body.Read(p)
}

// isPage recognizes the type of a web page, for instance a login form or a captive portal, so that
// the error can name it. Nothing else depends on the Content-Type: net/http calls JSON text/plain
// if a handler does not set a type, and scripts call it text/html.
func isPage(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	return t == "text/html" || t == "application/xhtml+xml"
}
