package portal_test

import (
	"context"
	"crypto/subtle"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

func ExampleMemory() {
	users := portal.Memory{"ann": creds.Secret("correct horse")}

	given := portal.Password{User: "ann", Password: creds.Secret("correct horse")}
	fmt.Println(users.Check(context.Background(), given))

	given.Password = creds.Secret("battery staple")
	fmt.Println(users.Check(context.Background(), given))
	// Output:
	// ann <nil>
	//  creds: wrong user or password
}

// hash is a hash of the password "correct horse". The cost, 04, is for tests only.
const hash = "$2y$04$RxqhRAmTPI7obYZROh5wqOyBlEoDRinVLPwXKNNzpG0g03LIEdlJO"

func ExampleFile() {
	const line = "ann:" + hash + "\n"
	path := os.TempDir() + "/example-users.txt"
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(path)

	users := &portal.File{Path: path}
	if err := users.Load(); err != nil { // when the program starts, to learn of invalid lines
		fmt.Println(err)
		return
	}
	given := portal.Password{User: "ann", Password: creds.Secret("correct horse")}
	fmt.Println(users.Check(context.Background(), given))
	// Output: ann <nil>
}

func ExampleSQL() {
	db := table([]driver.Value{"ann", hash}).db()
	defer db.Close()

	users := &portal.SQL{DB: db, Query: "SELECT name, hash FROM users WHERE name = $1"}
	given := portal.Password{User: "Ann", Password: creds.Secret("correct horse")}
	fmt.Println(users.Check(context.Background(), given))
	// Output: ann <nil>
}

func ExampleCheckers() {
	checkers := portal.Checkers{
		portal.Memory{"ann": creds.Secret("correct horse")},
		portal.AllowAnonymous{},
	}
	subject, err := checkers.Check(context.Background(), portal.Anonymous{})
	fmt.Println(subject == portal.AnonymousSubject, err)
	_, err = checkers[1:].Check(context.Background(), portal.Bearer{Token: creds.Secret("t0ken")})
	fmt.Println(err)
	// Output:
	// true <nil>
	// portal: no checker for credentials of this type: portal.Bearer; handled are portal.Anonymous
}

// A Mailbox is the avatar of a user of a mail service.
type Mailbox struct{ Owner string }

// Read returns the letters.
func (m *Mailbox) Read() string { return "letters to " + m.Owner }

func ExamplePortal() {
	open := 0
	mail := &portal.Portal[*Mailbox]{
		Realm: portal.RealmFunc[*Mailbox](
			func(_ context.Context, user string, _ ...reflect.Type) (*Mailbox, func(), error) {
				if open++; open > 100 {
					return nil, nil, portal.ErrDenied
				}
				return &Mailbox{user}, func() { open-- }, nil
			}),
		Checkers: portal.Checkers{portal.Memory{"ann": creds.Secret("correct horse")}},
	}

	session, err := mail.Login(context.Background(),
		portal.Password{User: "ann", Password: creds.Secret("correct horse")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Logout()
	fmt.Println(session.Subject, "has", session.Avatar.Read())
	// Output: ann has letters to ann
}

// A Greeter is one kind of avatar, and a Writer another.
type (
	Greeter interface{ Greet() string }
	Writer  interface{ Write(text string) }
)

// A greeting is a Greeter.
type greeting string

func (g greeting) Greet() string { return "hello " + string(g) }

// A realm with avatars of several kinds returns the first kind that is wanted.
func ExampleRealm() {
	realm := func(_ context.Context, subject string, kinds ...reflect.Type) (any, func(), error) {
		for _, kind := range kinds {
			if kind == reflect.TypeFor[Greeter]() {
				return greeting(subject), nil, nil
			}
		}
		return nil, nil, portal.ErrNoAvatar
	}
	p := &portal.Portal[any]{
		Realm:    portal.RealmFunc[any](realm),
		Checkers: portal.Checkers{portal.Memory{"ann": creds.Secret("correct horse")}},
	}
	ann := portal.Password{User: "ann", Password: creds.Secret("correct horse")}

	session, err := p.Login(context.Background(), ann,
		reflect.TypeFor[Writer](), reflect.TypeFor[Greeter]())
	fmt.Println(session.Kind, session.Avatar.(Greeter).Greet(), err)
	session.Logout()

	_, err = p.Login(context.Background(), ann, reflect.TypeFor[Writer]())
	fmt.Println(err)
	// Output:
	// portal_test.Greeter hello ann <nil>
	// portal: no avatar of that kind
}

// A pin is a type of credentials that the program defines, and vault is the Checker for it.
type pin string

type vault struct{ code pin }

func (v vault) Check(_ context.Context, c portal.Credentials) (string, error) {
	given, ok := c.(pin)
	switch {
	case !ok:
		return "", portal.ErrUnhandled
	case subtle.ConstantTimeCompare([]byte(given), []byte(v.code)) != 1:
		return "", portal.ErrUnauthorized
	}
	return "owner", nil
}

func ExampleFlags() {
	login := &portal.Flags{
		Kinds: []reflect.Type{reflect.TypeFor[portal.Password](), reflect.TypeFor[pin]()},
		Types: []portal.Type{{
			Word: "vault", Argument: "PIN of the door", Help: "One pin for all.",
			Kinds: []reflect.Type{reflect.TypeFor[pin]()},
			New: func(code string) (portal.Checker, error) {
				if strings.Trim(code, "0123456789") != "" || len(code) < 4 {
					return nil, errors.New("write at least four digits")
				}
				return vault{pin(code)}, nil
			},
		}},
	}
	flags := flag.NewFlagSet("door", flag.ContinueOnError)
	login.Register(flags)
	for _, args := range [][]string{
		{"--auth", "vault:4711", "--auth", "memory:ann:correct horse"},
		{"--auth", "vault:12"},
		{"--help-auth"},
	} {
		if err := flags.Parse(args); err != nil {
			fmt.Println(err)
		}
		checkers, err := login.Checkers(os.Stdout)
		fmt.Println(len(checkers), "checkers:", err)
	}
	// Output:
	// 2 checkers: <nil>
	// 0 checkers: --auth vault: write at least four digits
	// --auth TYPE[:ARGUMENT] says who may log in. It may stand several times.
	// --help-auth-type TYPE explains one type.
	//
	//   TYPE    ARGUMENT
	//   file    PATH of a file with name:hash on each line
	//   memory  NAME:PASSWORD:..., or @PATH of a file of NAME:PASSWORD lines
	//   unix    PATH of a helper program; pwauth if there is none
	//   vault   PIN of the door
	// 0 checkers: flag: help requested
}

// A helper of three lines judges the passwords. It exits with 1 for a wrong one.
func ExampleCommand() {
	const helper = `read -r user
read -r password
test "$user:$password" = "ann:correct horse"`
	users := &portal.Command{Path: "/bin/sh", Args: []string{"-c", helper}, Delay: -1}
	for _, given := range []string{"correct horse", "wrong"} {
		subject, err := users.Check(context.Background(),
			portal.Password{User: "ann", Password: creds.Secret(given)})
		fmt.Println(subject, err)
	}
	// Output:
	// ann <nil>
	//  creds: wrong user or password: the helper ended with exit status 1
}

// An audited Checker logs each verdict of the Checkers that it wraps.
type audited struct{ portal.Checkers }

func (a audited) Check(ctx context.Context, c portal.Credentials) (subject string, err error) {
	subject, err = a.Checkers.Check(ctx, c)
	fmt.Println(c, subject, err)
	return subject, err
}

func ExampleChecker_audit() {
	users := audited{portal.Checkers{portal.Memory{"ann": creds.Secret("correct horse")}}}
	login := portal.Password{User: "ann", Password: creds.Secret("wrong")}
	if _, err := users.Check(context.Background(), login); err != nil {
		fmt.Println("denied")
	}
	// Output:
	// {User:"ann" Password:[redacted]}  creds: wrong user or password
	// denied
}
