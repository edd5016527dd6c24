package portal_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

// A fixed checker always returns the same result, and counts its calls.
type fixed struct {
	subject string
	err     error
	asked   int
}

func (f *fixed) Check(context.Context, portal.Credentials) (string, error) {
	f.asked++
	return f.subject, f.err
}

var errDown = errors.New("down")

func TestCheckers(t *testing.T) {
	var (
		yes       = fixed{subject: "ann"}
		alsoNo    = fixed{err: portal.ErrUnauthorized}
		other     = fixed{subject: "other"}
		no        = fixed{err: portal.ErrUnauthorized}
		why       = fixed{err: errors.Join(portal.ErrUnauthorized, errors.New("the reason"))}
		unhandled = fixed{err: portal.ErrUnhandled}
		down      = fixed{err: errDown}
		nobody    = fixed{}
	)
	for _, tt := range []struct {
		reason   string
		checkers []*fixed
		subject  string
		err      error // if nil, any error, unless there is a subject
		asked    int   // how many checkers were asked
	}{
		{"one", []*fixed{&yes}, "ann", nil, 1},
		{"the first that knows", []*fixed{&no, &yes, &other}, "ann", nil, 2},
		{"one is passed over", []*fixed{&unhandled, &yes}, "ann", nil, 2},
		{"none knows", []*fixed{&no, &unhandled, &alsoNo}, "", portal.ErrUnauthorized, 3},
		{"none judges", []*fixed{&unhandled}, "", portal.ErrUnhandled, 1},
		{"none at all", nil, "", portal.ErrUnhandled, 0},
		{"one is down: fail closed", []*fixed{&no, &down, &yes}, "", errDown, 2},
		{"down behind one that knows", []*fixed{&yes, &down}, "ann", nil, 1},
		{"no subject", []*fixed{&nobody, &yes}, "", nil, 1},
		{"a nil one", []*fixed{&unhandled, nil, &yes}, "", nil, 1},
		{"the reason is kept", []*fixed{&no, &why, &alsoNo}, "", why.err, 3},
	} {
		var checkers portal.Checkers
		for _, f := range tt.checkers {
			if f == nil {
				checkers = append(checkers, nil)
				continue
			}
			f.asked = 0
			checkers = append(checkers, f)
		}
		got, err := checkers.Check(t.Context(), password("ann", "x"))
		asked := 0
		for _, f := range tt.checkers {
			if f != nil {
				asked += f.asked
			}
		}
		if got != tt.subject || (err == nil) != (tt.subject != "") ||
			tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v; want %q, %v", tt.reason, got, err, tt.subject, tt.err)
		}
		if tt.err == nil && err != nil && (errors.Is(err, portal.ErrUnauthorized) ||
			errors.Is(err, portal.ErrUnhandled)) {
			t.Errorf("%s: a fault is taken for a refusal: %v", tt.reason, err)
		}
		if asked != tt.asked {
			t.Errorf("%s: asked %d, want %d", tt.reason, asked, tt.asked)
		}
	}
}

// Code that counts guesses learns of a guess that one Checker found wrong, even if a later Checker
// cannot decide.
func TestCheckersSpent_S12(t *testing.T) {
	no, down := &fixed{err: portal.ErrUnauthorized}, &fixed{err: errDown}
	for _, tt := range []struct {
		reason   string
		checkers portal.Checkers
		spent    bool
	}{
		{"wrong, then down", portal.Checkers{no, down}, true},
		{"in an inner one", portal.Checkers{portal.Checkers{no, down}, no}, true},
		{"wrong, then a nil one", portal.Checkers{no, nil}, true},
		{"wrong, then a bug", portal.Checkers{no, &fixed{}}, true},
		{"down at first", portal.Checkers{down, no}, false},
		{"passed over, then down", portal.Checkers{portal.AllowAnonymous{}, down}, false},
	} {
		_, err := tt.checkers.Check(t.Context(), password("ann", "x"))
		told, ok := errors.AsType[interface {
			error
			Spent() bool
		}](err)
		spent := ok && told.Spent()
		if spent != tt.spent || errors.Is(err, portal.ErrUnauthorized) {
			t.Errorf("%s: %v, spent %t", tt.reason, err, spent)
		}
	}
}

type ticket struct{ Serial string }

func TestUnhandledListsKinds(t *testing.T) {
	users := portal.Memory{"ann": creds.Secret("x")}
	checkers := portal.Checkers{users, &fixed{err: portal.ErrUnhandled}, portal.AllowAnonymous{},
		portal.Checkers{users}}
	_, err := checkers.Check(t.Context(), ticket{"canary-7icket"})
	const want = "portal: no checker for credentials of this type: portal_test.ticket; " +
		"handled are portal.Password, portal.Response, portal.Anonymous"
	if !errors.Is(err, portal.ErrUnhandled) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = portal.Checkers(nil).Check(t.Context(), nil)
	if !errors.Is(err, portal.ErrUnhandled) || !strings.HasSuffix(err.Error(), ": <nil>") {
		t.Error(err)
	}
}

// Only a client that sends Anonymous is anonymous.
func TestAnonymous(t *testing.T) {
	checkers := portal.Checkers{
		portal.Memory{"": creds.Secret("x"), portal.AnonymousSubject: creds.Secret("x")},
		&portal.File{Path: writeUsers(t, portal.AnonymousSubject+":x\n:x\n"), PlainText: true},
		&portal.SQL{DB: table([]driver.Value{portal.AnonymousSubject, "x"}).open(t),
			Query: usersQuery, PlainText: true},
		portal.AllowAnonymous{},
	}
	for _, name := range []string{"", "anonymous", portal.AnonymousSubject} {
		wants(t, name, checkers, password(name, "x"), "")
		wants(t, name, checkers, password(name, ""), "")
	}
	wants(t, "who says so", checkers, portal.Anonymous{}, portal.AnonymousSubject)
	_, err := portal.AllowAnonymous{}.Check(t.Context(), &portal.Anonymous{})
	if !errors.Is(err, portal.ErrUnhandled) {
		t.Errorf("a pointer is another type: %v", err)
	}
}

func TestLoginErrors(t *testing.T) {
	everybody := portal.Checkers{&fixed{subject: "ann"}}
	gives := func(err error) portal.Realm[any] {
		return portal.RealmFunc[any](
			func(context.Context, string, ...reflect.Type) (any, func(), error) {
				return nil, nil, err
			})
	}
	for _, tt := range []struct {
		reason string
		portal portal.Portal[any]
		want   error // if nil, any error
	}{
		{"the realm says no", portal.Portal[any]{gives(portal.ErrDenied), everybody},
			portal.ErrDenied},
		{"the realm is down", portal.Portal[any]{gives(errDown), everybody}, errDown},
		{"the realm gives nothing", portal.Portal[any]{gives(nil), everybody}, portal.ErrNoAvatar},
		{"a checker is down", portal.Portal[any]{gives(nil), portal.Checkers{&fixed{err: errDown}}},
			errDown},
		{"there is no realm", portal.Portal[any]{nil, everybody}, nil},
	} {
		session, err := tt.portal.Login(t.Context(), portal.Anonymous{})
		if session != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.reason, session, err, tt.want)
		}
	}
}

// A mistake of the program is an error at each login, not a panic.
func TestLoginFaults(t *testing.T) {
	everybody := portal.Checkers{&fixed{subject: "ann"}}
	logouts := 0
	p := portal.Portal[any]{Checkers: everybody, Realm: portal.RealmFunc[any](
		func(context.Context, string, ...reflect.Type) (any, func(), error) {
			return "x", func() { logouts++ }, errDown
		})}
	if _, err := p.Login(t.Context(), portal.Anonymous{}); err != errDown || logouts != 0 {
		t.Errorf("a logout beside an error: %v, %d logouts", err, logouts)
	}
	kind := reflect.TypeOf(error(nil)) // a plausible mistake for the interface type
	_, err := p.Login(t.Context(), portal.Anonymous{}, reflect.TypeFor[string](), kind)
	if err == nil || !strings.Contains(err.Error(), "a nil kind") {
		t.Errorf("a nil kind: %v", err)
	}
	p.Realm = portal.RealmFunc[any](nil)
	if _, err := p.Login(t.Context(), portal.Anonymous{}); err == nil {
		t.Error("a RealmFunc that is nil lets in")
	}
}

// The session's Kind is true, whatever the Realm returns.
func TestLoginKinds(t *testing.T) {
	type both struct {
		avatarA
		avatarB
	}
	a, b := reflect.TypeFor[avatarA](), reflect.TypeFor[avatarB]()
	for _, tt := range []struct {
		reason string
		avatar any
		kinds  []reflect.Type
		want   reflect.Type // if nil, ErrNoAvatar
	}{
		{"an interface", justA(""), []reflect.Type{a}, a},
		{"the second", justB(""), []reflect.Type{a, b}, b},
		{"both: the first", both{}, []reflect.Type{b, a}, b},
		{"its own type", justA(""), []reflect.Type{b, reflect.TypeFor[justA]()},
			reflect.TypeFor[justA]()},
		{"any will do", justA(""), nil, reflect.TypeFor[justA]()},
		{"not what was wanted", justA(""), []reflect.Type{b}, nil},
		{"nothing", nil, nil, nil},
	} {
		logouts := 0
		p := portal.Portal[any]{
			Realm: portal.RealmFunc[any](
				func(context.Context, string, ...reflect.Type) (any, func(), error) {
					return tt.avatar, func() { logouts++ }, nil
				}),
			Checkers: portal.Checkers{&fixed{subject: "ann"}},
		}
		session, err := p.Login(t.Context(), portal.Anonymous{}, tt.kinds...)
		if tt.want == nil {
			if !errors.Is(err, portal.ErrNoAvatar) || logouts != 1 {
				t.Errorf("%s: %v, %d logouts; want ErrNoAvatar and one", tt.reason, err, logouts)
			}
			continue
		}
		if err != nil || session.Kind != tt.want || session.Subject != "ann" || logouts != 0 {
			t.Errorf("%s: %+v, %v; want %v", tt.reason, session, err, tt.want)
		}
	}
}

func TestLogout(t *testing.T) {
	var logouts atomic.Int32
	var session *portal.Session[string]
	p := portal.Portal[string]{
		Realm: portal.RealmFunc[string](
			func(_ context.Context, subject string, _ ...reflect.Type) (string, func(), error) {
				return subject, func() {
					logouts.Add(1)
					session.Logout() // as when the end of a connection ends its session
				}, nil
			}),
		Checkers: portal.Checkers{portal.AllowAnonymous{}},
	}
	session, err := p.Login(t.Context(), portal.Anonymous{})
	if err != nil || session.Avatar != portal.AnonymousSubject {
		t.Fatal(session, err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(session.Logout)
	}
	all.Wait()
	if n := logouts.Load(); n != 1 {
		t.Errorf("%d logouts, want 1", n)
	}
	p.Realm = portal.RealmFunc[string](
		func(_ context.Context, subject string, _ ...reflect.Type) (string, func(), error) {
			return subject, nil, nil
		})
	session, err = p.Login(t.Context(), portal.Anonymous{})
	if err != nil {
		t.Fatal(err)
	}
	session.Logout() // without effect: the Realm gave no logout
}
