package raven

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// answerName is the query parameter that holds the answer (section 3 of the protocol).
const answerName = "WLS-Response"

// hasAnswer reports whether the URL of a request has the parameter, in any encoding of its name and
// even if its value is empty.
func hasAnswer(req *http.Request) bool {
	count, _ := findAnswers(req.URL.RawQuery)
	return count > 0
}

// findAnswers counts the answers in a query. before is the part of the query in front of the last
// answer, and "" without one.
func findAnswers(query string) (count int, before string) {
	start := 0
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(name); err == nil && decoded == answerName {
			count++
			before = query[:start]
		}
		start += len(part) + 1
	}
	return count, strings.TrimSuffix(before, "&")
}

// target returns the path and the query of a request as the browser sent them: decoding and
// encoding them again could change their meaning. The result begins with a slash, and is ASCII.
func target(req *http.Request) string {
	text := req.RequestURI
	if !strings.HasPrefix(text, "/") { // the form for proxies; its host is ignored
		text = req.URL.EscapedPath()
		if req.URL.RawQuery != "" {
			text += "?" + req.URL.RawQuery
		}
	}
	if !strings.HasPrefix(text, "/") {
		text = "/" + text
	}
	if path, query, _ := strings.Cut(text, "?"); query == "" {
		text = path // a question mark before an empty query is lost on the way
	}
	return escapeNonASCII(text)
}

// nameTarget returns a hash that stands for a target in a session: a target may be as long as a
// whole request.
func nameTarget(target string) string {
	sum := sha256.Sum256([]byte(target))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func escapeNonASCII(text string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; c < 0x80 {
			out.WriteByte(c)
		} else {
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return out.String()
}

// cutAnswer returns the answer in the URL of a request, and the request's target without it.
func cutAnswer(req *http.Request) (answer, rest string, err error) {
	path, query, _ := strings.Cut(target(req), "?")
	count, before := findAnswers(query)
	last := strings.TrimPrefix(query[len(before):], "&")
	value, ok := strings.CutPrefix(last, answerName+"=")
	switch {
	case count > 1:
		return "", "", notTaken("there is more than one")
	case !ok || strings.Contains(value, "&"):
		return "", "", notTaken("it is not the last parameter of the URL")
	}
	if answer, err = url.QueryUnescape(value); err != nil {
		return "", "", notTaken("it is not encoded as a parameter")
	}
	if before != "" {
		path += "?" + before
	}
	return answer, path, nil
}

// take handles an answer of the service. The checks have the same order as in other agents: the
// method, the number of answers, the session, the answer itself, its URL, its token and, for a
// success, the demands of the page and the time. An answer that fails a check changes nothing.
func (l *Login) take(w http.ResponseWriter, req *http.Request, v *visit) {
	r, err := l.accept(req, v)
	if err != nil {
		l.fail(w, req, err)
		return
	}
	if r.spent {
		l.log(req, slog.LevelInfo, "raven: another tab has logged in")
		seeOther(w, l.set.base+r.target)
		return
	}
	if r.Status == StatusSuccess {
		err = l.begin(w, req, v, r.Response)
	} else {
		err = l.note(w, v, r.Response)
	}
	if err != nil {
		l.fail(w, req, err)
		return
	}
	l.log(req, slog.LevelInfo, "raven: answer taken", slog.String("status", r.Status.String()),
		slog.String("principal", r.Principal))
	seeOther(w, l.set.base+r.target)
}

// An accepted answer belongs to this browser, and may be acted upon.
type accepted struct {
	*Response

	target string // where to go from here, within this site
	spent  bool   // another tab has logged in, so this answer is not used
}

func (l *Login) accept(req *http.Request, v *visit) (*accepted, error) {
	if req.Method != http.MethodGet {
		return nil, errMethod
	}
	text, rest, err := cutAnswer(req)
	if err != nil {
		return nil, err
	}
	if !v.asked && !v.known {
		return nil, ErrNoSession
	}
	r, err := l.Service.Parse(text)
	if err != nil {
		return nil, notTaken("%w", err)
	}
	where, ok := l.arrived(r, rest)
	if !ok {
		return nil, notTaken("it is for another URL")
	}
	now := time.Now()
	if l.set.answers.has(nameAnswer(r.Issue.Unix(), r.ID), now) {
		return nil, notTaken("it was taken before")
	}
	if isToken(v.Spent, r.Params) || isToken(v.pending.Spent, r.Params) {
		return &accepted{r, where, true}, nil
	}
	if !isToken(v.pending.Token, r.Params) {
		// Tabs that a browser opens at the same time, before it has a cookie, each get a token, and
		// the browser keeps the last cookie. Once its token has led to a login, the answers for the
		// other tabs are not needed.
		if _, err := l.current(v, now); err == nil {
			return &accepted{r, where, true}, nil
		}
		return nil, notTaken("it was not asked for in this session")
	}
	if r.Status == StatusSuccess {
		if err := l.acceptSuccess(r, now); err != nil {
			return nil, err
		}
	}
	return &accepted{r, where, false}, nil
}

// acceptSuccess returns an error if an answer with the right token must not log the user in.
// Otherwise it remembers the answer.
func (l *Login) acceptSuccess(r *Response, now time.Time) error {
	if !r.Satisfies(l.IAct, l.AAuth) {
		return notTaken("the user has not logged in as this page asks for")
	}
	// Whole seconds, because the service's time has no fraction.
	age := time.Unix(now.Unix(), 0).Sub(r.Issue)
	if age > l.set.before || -age > l.set.after {
		return notTaken("it was written %v before now; is a clock wrong?", age)
	}
	// If this answer were accepted, the page would redirect the user to the service again, and the
	// service would send them back.
	if end := l.session(newLogin(r, now)).Expires(); !end.IsZero() && !now.Before(end) {
		return notTaken("the login has ended already")
	}
	// Two requests with the same answer may both have seen the token in the session.
	until := now.Add(l.set.before + l.set.after + time.Second)
	fresh, full := l.set.answers.add(nameAnswer(r.Issue.Unix(), r.ID), now, until)
	switch {
	case full:
		return unavailable(notTaken("too many were, a moment ago"))
	case !fresh:
		return notTaken("it was taken before")
	}
	return nil
}

// arrived reports whether an answer was written for the URL that received it, and returns the
// target to redirect to. In version 1 the service drops the query of the URL that it redirects to,
// and arrived restores it from the answer (section 3 of the protocol). So an answer of version 1
// that arrives at a URL with a query was written for another URL.
func (l *Login) arrived(r *Response, rest string) (target string, ok bool) {
	there, ours := strings.CutPrefix(r.URL, l.set.base)
	if !ours {
		return "", false
	}
	if r.Version > 1 {
		return rest, there == rest
	}
	path, query, _ := strings.Cut(there, "?")
	if path != rest {
		return "", false
	}
	if query != "" {
		path += "?" + query
	}
	return escapeNonASCII(path), true
}

// note remembers an answer other than a success until the user has seen it. The browser stores it,
// not the server: a client that has proved nothing can cancel logins without limit.
func (l *Login) note(w http.ResponseWriter, v *visit, r *Response) error {
	if v.Login != nil && r.Status.endsLogin() {
		if err := l.retire(w, v); err != nil {
			return err
		}
	}
	l.writePending(w, pending{Spent: v.pending.Token, Lost: v.pending.Lost, Failed: newFailed(r)})
	return nil
}

// retire ends the login of a session, and keeps the session's other values for the same user.
func (l *Login) retire(w http.ResponseWriter, v *visit) error {
	if err := l.replace(v); err != nil {
		return err
	}
	sessions := l.set.sessions
	end := time.Now().Add(min(pendingLife, sessions.Lifetime))
	if v.own && end.Before(sessions.Deadline(v.ctx)) {
		sessions.SetDeadline(v.ctx, end)
	}
	return l.save(w, v)
}

// replace makes the login of a session, if any, its former login. A request that is still running
// may save the old session again, but the login in it stays ended.
func (l *Login) replace(v *visit) error {
	if err := l.renew(v); err != nil {
		return err
	}
	if v.Login != nil {
		l.set.ended.add(v.Login.answer(), time.Now(), l.set.sessions.Deadline(v.ctx))
		v.Login, v.Former = nil, v.Login
	}
	return nil
}

// endsLogin reports whether an answer with this status ends the login that the session has. A new
// login ends it, and so does a refusal by the user, or by the service for this user. The other
// statuses concern the demands of the page. The service sends them without asking the user, so a
// link on another site to such a page must not log the user out.
func (s Status) endsLogin() bool {
	return s == StatusSuccess || s == StatusCancelled || s == StatusDeclined
}

func isToken(token, params string) bool {
	return token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(params)) == 1
}

// begin puts a login into the session. It calls NewSession if the session did not belong to this
// user before, or if the user's ptags have changed.
func (l *Login) begin(
	w http.ResponseWriter, req *http.Request, v *visit, r *Response,
) error {
	if err := l.replace(v); err != nil {
		return err
	}
	sessions, former := l.set.sessions, v.Former
	v.state = state{
		Spent: v.pending.Token, Lost: v.pending.Lost, Login: newLogin(r, time.Now()),
	}
	if former != nil && former.Principal != r.Principal {
		v.Lost = ""
		if err := sessions.Clear(v.ctx); err != nil {
			return unavailable(err)
		}
	}
	opened := l.session(v.Login)
	end := time.Now().Add(sessions.Lifetime)
	if expires := opened.Expires(); expires.After(end) {
		end = expires
	}
	sessions.SetDeadline(v.ctx, end)
	known := former != nil && former.Principal == r.Principal && samePTags(former.PTags, r.PTags)
	if !known && l.NewSession != nil {
		l.NewSession(req.WithContext(v.ctx), opened)
	}
	if err := l.save(w, v); err != nil {
		return err
	}
	l.dropPending(w)
	return nil
}

func newLogin(r *Response, now time.Time) *login {
	made := &login{
		Principal: r.Principal, PTags: r.PTags, Auth: r.Auth, SSO: r.SSO,
		Issue: r.Issue.Unix(), ID: r.ID, Last: now.Unix(),
	}
	if r.HasLife {
		life := int64(r.Life / time.Second)
		made.Life = &life
	}
	return made
}

func samePTags(a, b []string) bool {
	subset := func(a, b []string) bool {
		return !slices.ContainsFunc(a, func(t string) bool { return !slices.Contains(b, t) })
	}
	return subset(a, b) && subset(b, a)
}

// redirect sends a browser from any page of this site to the service. It refuses a form that
// another site made the browser send. Such a form comes without the cookies, which are Lax, so the
// cookie of a new pending login would replace the one that the browser has.
func (l *Login) redirect(w http.ResponseWriter, req *http.Request, v *visit, set *settings) {
	if err := set.crossOrigin.Check(req); err != nil {
		l.fail(w, req, fmt.Errorf("%w: %w", ErrForbidden, err))
		return
	}
	p := v.pending
	if p.Token == "" || p.Token == v.Spent { // a late response has restored it
		p.Token = rand.Text()
	}
	here := target(req)
	query, err := l.request(set.base+here, p.Token).Query()
	if err != nil {
		l.log(req, slog.LevelInfo, "raven: no way back from a login", slog.Any("reason", err))
		w.Header().Del("WWW-Authenticate")
		http.Error(w, "this address is too long, or malformed", http.StatusBadRequest)
		return
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		p.Lost = nameTarget(here)
	}
	l.writePending(w, p)
	seeOther(w, set.login+query)
}

func (l *Login) request(where, token string) *Request {
	return &Request{
		URL: where, Desc: l.Desc, Msg: l.Msg, AAuth: l.AAuth, IAct: l.IAct, Params: token,
	}
}

// seeOther redirects a browser to another URL, with a GET (section 2 of the protocol).
func seeOther(w http.ResponseWriter, where string) {
	header := w.Header()
	header.Del("WWW-Authenticate")
	header.Set("Cache-Control", "no-store")
	header.Set("Location", where)
	w.WriteHeader(http.StatusSeeOther)
}
