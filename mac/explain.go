package mac

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/countersign-go/countersign/auth"
)

// The limits of [Explain]. Each try costs one HMAC.
const (
	maxTries  = 4096
	maxHashed = 4 << 20 // bytes, for long targets
)

// An Explanation is the result of [Explain].
type Explanation struct {
	// Matches reports whether the MAC is correct, either for the unchanged request or with the
	// Causes undone.
	Matches bool

	// Causes are the reasons for the refusal, each in one or two words. If Causes is empty and the
	// MAC matches, nothing is wrong with the request, but its nonce may have been used before. If
	// Causes is empty and the MAC does not match, no known distortion explains the request: in most
	// cases the keys differ.
	//
	//	port             the Host field names another port than the one that was signed
	//	scheme           the Host field names no port, and the other default port was signed
	//	host             another host, another case, a dot at its end, a port that was lost
	//	forwarded        the host or port in X-Forwarded-Host, -Proto and -Port, or in Forwarded
	//	decoded path     the path was signed decoded, or decoded on its way
	//	requoted path    other characters of the path were quoted
	//	path prefix      a prefix of the path was removed, or is present and was not signed
	//	trailing slash   a slash at the end of the path was added or removed
	//	query order      the parameters had another order
	//	query encoding   other characters of the query were quoted
	//	added query      fewer parameters were signed, or none
	//	target           the target is a whole URL, and its path was signed
	//	method           GET was signed for HEAD, or HEAD for GET
	//	key              one side decoded or encoded the key, or it has an extra line feed
	//	algorithm        the sender uses the other hash
	//	dialect          the sender uses another dialect
	//	clock            the timestamp is outside the window
	//	expired          the key has expired
	//	body             the body does not match the signed digest, or no digest was signed
	//	unknown id       no key has the id
	Causes []string

	// Read is the base string as this side reads it, in the form of [Dump]. Signed is the base
	// string that the sender signed. It is "" unless Matches is true.
	Read, Signed string

	id       string
	sent     bool   // a client is about to send it; a client has no PublicURL to set
	gap      string // the parts that the dialect other reads differently; "" if none
	other    Dialect
	findings []finding

	tries, hashed int // the cost of the search
}

// A finding is one reason for a refusal.
type finding struct {
	cause  string
	with   string // completes "would match with ..."
	advice string // the likely cause and the remedy
}

// String returns the explanation in one sentence. It contains the id, hosts and ports, but no key,
// MAC, path, query or body.
func (e *Explanation) String() string {
	switch {
	case slices.Contains(e.Causes, causeUnknownID):
		return fmt.Sprintf("there is no key of the id %.64q: compare the ids, or fetch new "+
			"credentials", e.id)
	case !e.Matches:
		text := fmt.Sprintf("no known distortion: the key of %.64q differs between the two sides, "+
			"or more was changed than can be guessed; compare the dumps of both", e.id)
		if len(e.findings) > 0 {
			text += "; besides, " + e.advice()
		}
		return text
	case len(e.findings) == 0 && e.sent:
		text := "the MAC is right for this request: "
		if e.gap != "" {
			text += fmt.Sprintf("but a server of the dialect %v reads %s in another way: set the "+
				"Dialect of the Signer to that of the server; or ", e.other, e.gap)
		}
		return text + "what refuses it has another key, reads it otherwise or has seen it " +
			"before; compare its dump with this one"
	case len(e.findings) == 0:
		return "nothing is wrong: if the request was refused, its nonce had been used before"
	}
	return e.with() + ": " + e.advice()
}

func (e *Explanation) with() string {
	verb, with := "would pass with ", make([]string, 0, len(e.findings))
	for _, f := range e.findings {
		with = append(with, f.with)
		if f.cause != causeClock && f.cause != causeExpired && f.cause != causeBody {
			verb = "would match with " // otherwise the MAC matches already
		}
	}
	return verb + strings.Join(with, " and ")
}

func (e *Explanation) advice() string {
	const public = "; set PublicURL" // appended once, at the end
	var advice []string
	end := ""
	for _, f := range e.findings {
		text, cut := strings.CutSuffix(f.advice, public)
		if cut {
			end = public
		}
		if !slices.Contains(advice, text) {
			advice = append(advice, text)
		}
	}
	return strings.Join(advice, "; ") + end
}

// Explain reports why the MAC of req does not match, or why a [Verifier] refuses req although the
// MAC is correct. It is for a developer or operator who examines a refusal: in a test, in a
// debugger, or in a log that is turned on for the purpose.
//
// Explain reads req as v would, with the Dialect, PublicURL, Window, NotBefore and BodyDigest of v.
// If v is nil, the zero Verifier is used. If key is nil, v.Keys is called. If key did not make the
// MAC, Explain tries the known distortions between a signer and a verifier, one and two at a time.
//
// As in [BaseString], a request without RequestURI is one to be sent. For such a request, Explain
// ignores PublicURL. It also ignores the clock, which the client may have corrected for the server.
// To explain a dump of a received request, parse it with [http.ReadRequest], which sets RequestURI.
// If the request came over TLS, also set its TLS field.
//
// If v has BodyDigest, Explain reads the body, up to 1 MiB, and puts it back. If the body is JSON
// or a form, of up to 64 KiB, Explain also tries other encodings of it.
//
// Explain computes up to 4096 HMACs, where a Verifier computes one. This takes some milliseconds,
// and up to a quarter of a second for the longest targets. Explain claims no nonce, and contacts
// other systems only through v.Keys.
//
// The result is meant for holders of the key. A client that learns it can at most change the
// requests that it sends, because the result contains no MAC except the client's own.
//
// The error is [auth.ErrNone] if req has no MAC credentials. It wraps [ErrMalformed] if they or the
// request cannot be read. It wraps [auth.ErrUnavailable] if Explain has no key to try, or if v.Keys
// fails.
func Explain(req *http.Request, key *Key, v *Verifier) (*Explanation, error) {
	return explain(req, key, v, "", time.Now())
}

var _ auth.Explainer = (*Verifier)(nil)

// Explain returns the text of the function [Explain], for the key that v.Keys returns. It makes v
// an [auth.Explainer]. The errors are the function's.
func (v *Verifier) Explain(req *http.Request) (string, error) {
	e, err := Explain(req, nil, v)
	if err != nil {
		return "", err
	}
	return e.String(), nil
}

// explain is Explain with the Port of a Signer and with a given time.
func explain(req *http.Request, key *Key, v *Verifier, port string, now time.Time) (
	*Explanation, error) {
	v, h, shown, err := readRefused(req, v, port)
	if err != nil {
		return nil, err
	}
	e := &Explanation{id: h.id, sent: req.RequestURI == ""}
	switch v.Dialect {
	case Draft01:
		e.gap, e.other = shown.gap(), WebOb
	case WebOb:
		e.gap, e.other = shown.gap(), Draft01
	}
	s := &search{
		h: h, req: req, verifier: v,
		start: trial{reading: shown, dialect: v.Dialect, ext: h.ext},
	}
	e.Read = dump(h, s.start.append(nil, h))
	if !e.sent {
		e.judgeTime(v, h, now)
	}
	if key == nil {
		if key, err = v.anyKey(req.Context(), h.id); err != nil {
			return nil, err
		}
	}
	switch {
	case key == nil:
		e.findings = nil
		e.add(finding{cause: causeUnknownID})
		return e, nil
	case len(key.Secret) == 0:
		return nil, unavailable("explaining a refusal", errNoKey)
	}
	s.start.key = key.Secret
	e.Matches = s.run()
	e.tries, e.hashed = s.tries, s.hashed
	if e.Matches {
		e.Signed = dump(h, s.found.append(nil, h))
		e.judge(s.changes, key, h, now)
		if v.BodyDigest {
			e.judgeBody(req, h.ext)
		}
	}
	return e, nil
}

// readRefused reads the request for Explain and Dump. If v is nil, it returns the zero Verifier.
func readRefused(req *http.Request, v *Verifier, port string) (
	*Verifier, *header, reading, error) {
	if v == nil {
		v = new(Verifier)
	}
	line, err := findHeader(req.Header)
	if err != nil {
		return nil, nil, reading{}, err
	}
	h, err := parseHeader(line)
	if err == nil && len(req.RequestURI) > maxText {
		err = errLongTarget
	}
	var shown reading
	switch {
	case err != nil:
	case req.RequestURI == "":
		shown, err = clientReading(req, v.Dialect, port)
	case v.Dialect == Django:
		err = errDjango
	case lower.any(req.Method):
		err = errCase
	default:
		shown, err = receivedReading(req, v.PublicURL)
	}
	if err == nil {
		_, err = shown.append(nil, v.Dialect, h.ext)
	}
	if err != nil {
		return nil, nil, reading{}, because(ErrMalformed, err)
	}
	return v, &h, shown, nil
}

// anyKey looks up a key in Keys, as a Verifier does. It returns nil if the identifier is unknown.
func (v *Verifier) anyKey(ctx context.Context, id string) (*Key, error) {
	if v.Keys == nil {
		return nil, unavailable("explaining a refusal", errNoKeys)
	}
	key, unknown, err := v.lookup(ctx, id)
	if errors.Is(err, errKeyAlg) && unknown == nil {
		return v.Keys(ctx, id) // only the Secret matters here
	}
	return key, err
}

func (e *Explanation) add(f finding) {
	e.findings = append(e.findings, f)
	if !slices.Contains(e.Causes, f.cause) {
		e.Causes = append(e.Causes, f.cause)
	}
}

// judgeTime adds a finding if the timestamp does not pass. The clock does not affect the MAC.
func (e *Explanation) judgeTime(v *Verifier, h *header, now time.Time) {
	if v.Window < 0 || v.timely(h, now) == nil {
		return
	}
	ahead := offset(h.seconds, now)
	window := inSeconds(v.window())
	if -window <= ahead && ahead <= window {
		e.add(finding{causeClock, "a later timestamp",
			"the timestamp is not after NotBefore: have the sender sign again"})
		return
	}
	direction, distance := "ahead of", ahead
	if ahead < 0 {
		direction, distance = "behind", -ahead
	}
	by := "over 100 years"
	if distance <= 100*366*24*time.Hour {
		by = distance.String()
	}
	e.add(finding{causeClock, "the clock set right", fmt.Sprintf(
		"the timestamp is %s %s the clock of this machine and the window is %v: correct the clock "+
			"of the sender, or this one", by, direction, window)})
}

// judge adds the changes that had to be undone as findings, before the finding about the clock.
func (e *Explanation) judge(changes []change, key *Key, h *header, now time.Time) {
	late := e.findings
	e.findings, e.Causes = nil, nil
	for _, c := range changes {
		e.add(c.finding)
	}
	if algorithm(key.Algorithm).size() != h.mac.size {
		e.add(finding{causeAlgorithm, string(h.algorithm()), fmt.Sprintf(
			"the key is for %q here: set the Algorithm of one side to that of the other",
			key.Algorithm)})
	}
	for _, f := range late {
		e.add(f)
	}
	if end := key.Identity.Expires; !end.IsZero() && !now.Before(end) {
		e.add(finding{causeExpired, "a key that has not ended", fmt.Sprintf(
			"it ended %v ago: fetch new credentials", now.Sub(end).Round(time.Second))})
	}
}
