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

// The bounds of [Explain]. Each try is one HMAC.
const (
	maxTries  = 4096
	maxHashed = 4 << 20 // bytes, for long targets
)

// An Explanation is what [Explain] has found out.
type Explanation struct {
	// Matches reports whether the MAC is right, for the request as it is or with the Causes undone.
	Matches bool

	// Causes are why the request is refused, one word or two each. If there are none, and the MAC
	// matches, then nothing is wrong with the request but, perhaps, a nonce that was used before.
	// If there are none and it does not, no known distortion explains it: mostly, the keys differ.
	//
	//	port             the Host field names another port than the one that was signed
	//	scheme           it names none, and the default of the other scheme was signed
	//	host             another host, another case, a dot at its end, a port that was lost
	//	forwarded        the host or port in X-Forwarded-Host, -Proto and -Port, or in Forwarded
	//	decoded path     the path was signed decoded, or decoded on its way
	//	requoted path    other characters of it were quoted
	//	path prefix      a first part of it was taken away, or is there and was not signed
	//	trailing slash   one more, or one less
	//	query order      the parameters had another order
	//	query encoding   other characters of it were quoted
	//	added query      there were fewer parameters, or none
	//	target           it is a whole URL, and its path was signed
	//	method           GET for HEAD, and the other way round
	//	key              it was decoded, or encoded, or has a line feed too many
	//	algorithm        the sender uses the other hash
	//	dialect          the sender uses another dialect
	//	clock            the timestamp is outside the window
	//	expired          the key has ended
	//	body             it is not the one whose digest was signed, or none was
	//	unknown id       there is no key of that id
	Causes []string

	// Read is the base string as it is read here, in the form of [Dump]. Signed is the one that
	// was signed, as far as it is known: "" unless Matches.
	Read, Signed string

	id       string
	sent     bool   // by a client, which has no PublicURL to set
	gap      string // where the dialect other reads the request in another way; "": nowhere
	other    Dialect
	findings []finding

	tries, hashed int // what it has cost
}

// A finding is one thing that is wrong.
type finding struct {
	cause  string
	with   string // completes "would match with ..."
	advice string // what is behind it, and what to do
}

// String is the explanation in one sentence. It names the id and hosts and ports, and neither key,
// MAC, path, query nor body.
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
			verb = "would match with " // else the MAC does so already
		}
	}
	return verb + strings.Join(with, " and ")
}

func (e *Explanation) advice() string {
	const public = "; set PublicURL" // which is said once, at the end
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

// Explain says why the MAC of req does not match, or what else a [Verifier] has against it. It
// reads req as v would, with the Dialect, PublicURL, Window, NotBefore and BodyDigest of v; nil
// means the zero Verifier. If the MAC is not that of key, it tries what is known to come between a
// signer and a verifier, alone and two at a time. A nil key means that v.Keys is asked.
//
// It is for whoever looks into a refusal, in a test, a debugger or a log that is turned on for the
// purpose: it makes up to 4096 HMACs, where a Verifier makes one: some milliseconds, and up to a
// quarter of a second for the longest targets. It notes no nonce and asks nobody but v.Keys. What
// it says is for those who have the key; a client that is told can at most change what it sends, as
// no MAC that it has not made itself is in the answer.
//
// As in [BaseString], a request without RequestURI is one to be sent. Then the clock is not judged,
// since it may have been corrected for the server, nor is PublicURL looked at. A dump of a request
// that was received, read by [http.ReadRequest], is one with RequestURI; where it came in by TLS,
// set its TLS field.
//
// If v has BodyDigest, the body is read, up to 1 MiB, and put back. If it is JSON or a form of up
// to 64 KiB, other ways to write it are tried.
//
// The error is [auth.ErrNone] if there are no credentials, wraps [ErrMalformed] if they or the
// request cannot be read, and wraps [auth.ErrUnavailable] if there is no key to try, or v.Keys
// fails.
func Explain(req *http.Request, key *Key, v *Verifier) (*Explanation, error) {
	return explain(req, key, v, "", time.Now())
}

var _ auth.Explainer = (*Verifier)(nil)

// Explain returns the text of [Explain] for the key that Keys has. It makes v an [auth.Explainer].
// The errors are those of the function.
func (v *Verifier) Explain(req *http.Request) (string, error) {
	e, err := Explain(req, nil, v)
	if err != nil {
		return "", err
	}
	return e.String(), nil
}

// explain is Explain with the Port of a Signer and another clock.
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

// readRefused reads what [Explain] and [Dump] are about.
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

// anyKey asks Keys as a Verifier does. It returns nil if the identifier is not known.
func (v *Verifier) anyKey(ctx context.Context, id string) (*Key, error) {
	if v.Keys == nil {
		return nil, unavailable("explaining a refusal", errNoKeys)
	}
	key, unknown, err := v.lookup(ctx, id)
	if errors.Is(err, errKeyAlg) && unknown == nil {
		return v.Keys(ctx, id) // it is the Secret that matters here
	}
	return key, err
}

func (e *Explanation) add(f finding) {
	e.findings = append(e.findings, f)
	if !slices.Contains(e.Causes, f.cause) {
		e.Causes = append(e.Causes, f.cause)
	}
}

// judgeTime finds out about the clock, which has nothing to do with the MAC.
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

// judge turns what had to be undone into findings, in front of that about the clock.
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
