package creds_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/countersign-go/countersign/creds"
)

func ExampleSecret() {
	login := struct {
		User     string
		Password creds.Secret
	}{"ada", creds.Secret("correct horse")}

	fmt.Printf("%v %+v %x\n", login, login.Password, login.Password)
	shown, _ := json.Marshal(login)
	fmt.Println(string(shown))
	fmt.Println("the bytes:", len([]byte(login.Password)), "and the text:", string(login.Password))
	// Output:
	// {ada [redacted]} [redacted] [redacted]
	// {"User":"ada","Password":"[redacted]"}
	// the bytes: 13 and the text: correct horse
}

func ExampleSecret_LogValue() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	logger.Info("login", "user", "ada", "password", creds.Secret("correct horse"))
	// Output: level=INFO msg=login user=ada password=[redacted]
}

func ExampleSecret_UnmarshalText() {
	var config struct{ Password creds.Secret }
	if err := json.Unmarshal([]byte(`{"Password": "correct horse"}`), &config); err != nil {
		fmt.Println(err)
	}
	fmt.Println(config, string(config.Password))
	// Output: {[redacted]} correct horse
}

func ExampleStatic() {
	var source creds.Source[string] = creds.Static[string]{Value: "always this"}
	fmt.Println(source.Credentials(context.Background()))
	// Output: always this <nil>
}

// A token is the type of the credentials in the Cache of the examples.
type token struct {
	ID      string
	Expires time.Time
}

// newTokens returns a Cache of tokens with rising numbers.
func newTokens() *creds.Cache[token] {
	minted := 0
	return &creds.Cache[token]{
		Fetch: func(context.Context) (token, error) {
			minted++
			fmt.Println("fetch")
			return token{fmt.Sprint("token ", minted), time.Now().Add(time.Hour)}, nil
		},
		Expires: func(t token) time.Time { return t.Expires },
		ID:      func(t token) string { return t.ID },
	}
}

func ExampleCache() {
	tokens := newTokens()
	for range 3 {
		t, err := tokens.Credentials(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(t.ID)
	}
	// Output:
	// fetch
	// token 1
	// token 1
	// token 1
}

// Fetched gets each new token before it is used, so it can store the token.
func ExampleCache_fetched() {
	ctx := context.Background()
	tokens := newTokens()
	tokens.Fetched = func(t token) { fmt.Println("store", t.ID) }

	t, _ := tokens.Credentials(ctx)
	fmt.Println("use", t.ID)
	t, _ = tokens.Credentials(ctx)
	fmt.Println("use", t.ID)
	// Output:
	// fetch
	// store token 1
	// use token 1
	// use token 1
}

// A server refused the token of a request. The next call of Credentials fetches another one. A
// second refusal of the same old token, which arrives late, has no effect.
func ExampleCache_Reject() {
	ctx := context.Background()
	tokens := newTokens()
	old, _ := tokens.Credentials(ctx)

	tokens.Reject(func(t token) bool { return t.ID == old.ID }, nil)
	t, _ := tokens.Credentials(ctx)
	fmt.Println(t.ID)

	tokens.Reject(func(t token) bool { return t.ID == old.ID }, nil)
	t, _ = tokens.Credentials(ctx)
	fmt.Println(t.ID)
	// Output:
	// fetch
	// fetch
	// token 2
	// token 2
}

// A token that has just replaced a rejected one is not replaced at once, because the server may
// refuse all tokens. It is replaced at once after Confirm reports that it was accepted.
func ExampleCache_Confirm() {
	ctx := context.Background()
	tokens := newTokens()
	reject := func() {
		now, _ := tokens.Credentials(ctx)
		tokens.Reject(func(t token) bool { return t.ID == now.ID }, nil)
		next, _ := tokens.Credentials(ctx)
		fmt.Println(now.ID, "refused, next:", next.ID)
	}
	reject()
	reject()
	tokens.Confirm(func(t token) bool { return t.ID == "token 2" })
	reject()
	// Output:
	// fetch
	// fetch
	// token 1 refused, next: token 2
	// token 2 refused, next: token 2
	// fetch
	// token 2 refused, next: token 3
}

func ExampleCache_Err() {
	ctx := context.Background()
	calls := 0
	tokens := &creds.Cache[token]{Fetch: func(context.Context) (token, error) {
		if calls++; calls > 1 {
			return token{}, errors.New("the token endpoint is down")
		}
		return token{ID: "token 1"}, nil
	}}
	_, _ = tokens.Credentials(ctx)
	tokens.Reject(func(token) bool { return true }, nil)

	t, err := tokens.Credentials(ctx) // the old token is better than none
	fmt.Println(t.ID, err)
	fmt.Println(tokens.Err() != nil)
	// Output:
	// token 1 <nil>
	// true
}

// A service sends the next session with its answer to a request that carried this one.
func ExampleCache_Replace() {
	ctx := context.Background()
	sessions := &creds.Cache[token]{
		Fetch:   func(context.Context) (token, error) { return token{ID: "session 1"}, nil },
		Fetched: func(t token) { fmt.Println("store", t.ID) },
	}
	_, _ = sessions.Credentials(ctx)

	sessions.Replace(func(current token) (next token, ok bool) {
		return token{ID: "session 2"}, current.ID == "session 1"
	})
	sessions.Reject(func(t token) bool { return t.ID == "session 1" }, nil)
	t, err := sessions.Credentials(ctx)
	fmt.Println(t.ID, err)
	// Output:
	// store session 1
	// store session 2
	// session 2 <nil>
}

// A token source requests the scope that a server wanted.
func ExampleChallenge() {
	scope := regexp.MustCompile(`scope="([^"]*)"`)
	tokens := &creds.Cache[token]{
		StepUp: true,
		Fetch: func(ctx context.Context) (token, error) {
			wanted := "read"
			challenge := creds.Challenge(ctx).Get("WWW-Authenticate")
			if m := scope.FindStringSubmatch(challenge); m != nil && m[1] == "write" {
				wanted += " write" // request only this scope, whatever the server asks for
			}
			return token{ID: "token for " + wanted}, nil
		},
	}
	ctx := context.Background()
	t, _ := tokens.Credentials(ctx)
	fmt.Println(t.ID)
	tokens.Reject(func(token) bool { return true }, http.Header{
		"Www-Authenticate": {`Bearer error="insufficient_scope", scope="write"`},
	})
	t, _ = tokens.Credentials(ctx)
	fmt.Println(t.ID)
	// Output:
	// token for read
	// token for read write
}
