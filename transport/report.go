package transport

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/countersign-go/countersign/internal/authparam"
)

// log writes a record about the call. Attributes without a value are left out.
func (c *call) log(level slog.Level, message string, attrs ...slog.Attr) {
	attrs = slices.DeleteFunc(attrs, func(a slog.Attr) bool {
		v := a.Value
		return v.Kind() == slog.KindAny && v.Any() == nil ||
			v.Kind() == slog.KindString && v.String() == ""
	})
	attrs = append([]slog.Attr{slog.String("origin", c.origin.String())}, attrs...)
	c.logger.LogAttrs(c.req.Context(), level, message, attrs...)
}

// clockAccepted records that a server accepted the time that the request was signed with. It logs a
// new offset once, however many requests were refused for the old one.
func (c *call) clockAccepted() {
	if c.clock.accept(c.origin, c.reading) {
		c.log(slog.LevelInfo, "clock corrected",
			slog.Duration("offset", c.reading.offset().Round(time.Millisecond)))
	}
}

// Reasons why a request is sent unsigned.
const (
	notListed  = "its origin is not one of Origins, or has no Signer in ByOrigin"
	redirected = "another origin has redirected to it"
)

// unsigned logs that the request is sent without credentials.
func (c *call) unsigned() {
	c.log(slog.LevelDebug, "request not signed", slog.String("reason", c.reason))
}

// refusedUnsigned logs a warning, once for each origin, if the answer to an unsigned request asks
// for the credentials of the Signer. The usual reason is a mistake in the configuration.
func (c *call) refusedUnsigned(resp *http.Response) {
	if resp == nil || !c.logger.Enabled(c.req.Context(), slog.LevelWarn) ||
		!c.asksForSigner(resp) || c.t.warned.Get(c.origin) {
		return
	}
	c.t.warned.Put(c.origin, true, false)
	c.log(slog.LevelWarn, "request not signed, and refused for that",
		slog.Int("status", resp.StatusCode), slog.String("reason", c.reason))
}

// asksForSigner reports whether resp refuses a request because it lacks the credentials of the
// Signer, or of one of several Signers. If no Reader recognizes the answer, its challenges are
// compared with the scheme of the requests that were signed before.
func (c *call) asksForSigner(resp *http.Response) bool {
	lines := resp.Header["Www-Authenticate"]
	if len(lines) == 0 {
		return false
	}
	signers := slices.Collect(maps.Values(c.several))
	if signers == nil {
		signers = []Signer{c.signer}
	}
	refused := false
	for _, s := range signers {
		f := facesOf(s, resp.Request, nil)
		c.faces = f
		if !c.refused(resp) {
			continue
		}
		if refused = true; f.reader != nil && read(f, resp).Cause != "" {
			return true
		}
	}
	if !refused {
		return false
	}
	scheme := c.t.scheme.Load()
	challenges, err := authparam.Parse(lines)
	return scheme != nil && err == nil && slices.ContainsFunc(challenges,
		func(challenge authparam.Challenge) bool { return challenge.Is(*scheme) })
}

// noteScheme remembers the scheme of the first request that is signed.
func (c *call) noteScheme() {
	if c.t.scheme.Load() != nil {
		return
	}
	if scheme, _, found := strings.Cut(c.signed.Header.Get("Authorization"), " "); found {
		c.t.scheme.Store(&scheme)
	}
}

var errReplaced = errors.New("transport: the Base sent other credentials in place of the " +
	"Signer's: remove the RoundTripper that sets them, for instance an oauth2.Transport")

// hasReplaced reports whether r, the request that the Base says it sent, has other credentials than
// the signed request. A field that r lacks may have been removed from a copy of the request. If a
// field of r contains the Signer's value, the Base may have added to it, for instance cookies.
func (c *call) hasReplaced(r *http.Request) bool {
	for key, ours := range c.signed.Header {
		sent := r.Header[key]
		if len(ours) == 0 || len(sent) == 0 || key == "Expect" ||
			slices.Equal(ours, sent) || slices.Equal(ours, c.req.Header[key]) {
			continue
		}
		if !slices.ContainsFunc(sent, func(s string) bool { return strings.Contains(s, ours[0]) }) {
			return true
		}
	}
	return false
}

// warnReplaced logs a warning, once for each origin, that the Base does not send the Signer's
// credentials.
func (c *call) warnReplaced(ctx context.Context) {
	if !c.logger.Enabled(ctx, slog.LevelWarn) || c.t.warned.Get(c.origin) {
		return
	}
	c.t.warned.Put(c.origin, true, false)
	c.log(slog.LevelWarn, "credentials replaced", slog.Any("err", errReplaced))
}
