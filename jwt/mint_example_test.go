package jwt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/transport"
)

// A client puts a token that it makes itself on each request.
func ExampleSigner() {
	server := httptest.NewServer(auth.Require(
		http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			id, _ := auth.FromContext(req.Context())
			fmt.Fprintf(w, "hello %s", id.Subject)
		}),
		&jwt.Verifier{
			Keys:     &jwt.Key{Method: "HS256", Key: creds.Secret(strings.Repeat("k", 32))},
			Audience: []string{"https://api.example.com"},
		},
	))
	defer server.Close()

	client := &http.Client{Transport: &transport.Transport{Signer: &jwt.Signer{
		Key: creds.Secret(strings.Repeat("k", 32)), Method: "HS256",
		Claims: func(*http.Request) (map[string]any, error) {
			return map[string]any{"sub": "robot", "aud": "https://api.example.com"}, nil
		},
	}}}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
	// Output: 200 OK hello robot
}

// A login handler takes a name and a password, and answers with a token for an hour. Only a wrong
// password is answered with 401. Any other error means that the password could not be checked.
func ExampleSigner_Token() {
	var users portal.Checker = portal.Memory{"alice": creds.Secret("correct horse")}
	key := creds.Secret(strings.Repeat("k", 32))
	tokens := &jwt.Signer{Key: key, Method: "HS256", Lifetime: time.Hour}
	login := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// No cache may keep the response (RFC 6749, section 5.1).
		w.Header().Set("Cache-Control", "no-store")
		subject, err := users.Check(req.Context(), portal.Password{
			User: req.PostFormValue("login"), Password: creds.Secret(req.PostFormValue("password")),
		})
		switch {
		case errors.Is(err, portal.ErrUnauthorized):
			http.Error(w, "wrong name or password", http.StatusUnauthorized)
			return
		case err != nil:
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		token, err := tokens.Token(subject, map[string]any{"roles": []string{"reports"}}, 0)
		if err != nil {
			http.Error(w, "no token can be made now", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 3600})
	})

	post := func(form string) {
		req := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(form))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		login.ServeHTTP(w, req)
		fmt.Println(w.Code, w.Header().Get("Cache-Control"))

		var answer struct{ Token string }
		if json.Unmarshal(w.Body.Bytes(), &answer) != nil {
			return
		}
		verifier := &jwt.Verifier{Keys: &jwt.Key{Method: "HS256", Key: key}}
		claims, err := verifier.Verify(req.Context(), answer.Token)
		fmt.Println(claims["sub"], claims["roles"], err)
	}
	post("login=alice&password=guess")
	post("login=alice&password=correct+horse")
	users = outage{}
	post("login=alice&password=correct+horse")
	// Output:
	// 401 no-store
	// 200 no-store
	// alice [reports] <nil>
	// 503 no-store
}

// outage is a Checker whose database does not respond.
type outage struct{}

func (outage) Check(context.Context, portal.Credentials) (string, error) {
	return "", errors.New("the database does not answer")
}

// A site for browsers keeps a user logged in while they use it, for a week at most.
func ExampleSession() {
	session := &jwt.Session{
		Signer: &jwt.Signer{
			Key: creds.Secret(strings.Repeat("k", 32)), Method: "HS256", Lifetime: 2 * time.Hour,
		},
		ReissueAfter: time.Hour,
		MaxAge:       7 * 24 * time.Hour,
		DenyList:     new(jwt.DenyList),
	}
	mux := http.NewServeMux()
	// A login request has no cookie yet, so it needs its own check.
	mux.Handle("POST /login", new(http.CrossOriginProtection).Handler(http.HandlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			// A real handler checks the password here.
			if err := session.Set(w, "alice", map[string]any{"role": "admin"}); err != nil {
				http.Error(w, "no session can begin now", http.StatusInternalServerError)
				return
			}
			http.Redirect(w, req, "/", http.StatusSeeOther)
		})))
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, req *http.Request) {
		if err := session.Clear(w, req); err != nil {
			http.Error(w, "the session may go on", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, req, "/", http.StatusSeeOther)
	})
	mux.Handle("/", auth.Optional(http.HandlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			if id, ok := auth.FromContext(req.Context()); ok {
				fmt.Fprintf(w, "hello %s, %s", id.Subject, id.Claims["role"])
				return
			}
			fmt.Fprint(w, "hello stranger")
		}), session))
	site := session.Handler(mux)

	var cookies []*http.Cookie
	visit := func(method, path string) {
		req := httptest.NewRequest(method, "https://www.example.com"+path, nil)
		for _, c := range cookies {
			req.AddCookie(c)
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, req)
		fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body)))
		for _, c := range w.Result().Cookies() {
			fmt.Println("cookie", c.Name, c.MaxAge, c.HttpOnly && c.Secure)
			if cookies == nil {
				cookies = []*http.Cookie{c}
			}
		}
	}
	visit("GET", "/")
	visit("POST", "/login")
	visit("GET", "/")
	visit("POST", "/logout")
	visit("GET", "/") // with the old cookie, as a thief has it
	// Output:
	// 200 hello stranger
	// 303
	// cookie __Host-session 7200 true
	// 200 hello alice, admin
	// 303
	// cookie __Host-session -1 true
	// 200 hello stranger
}

// A program can read a token without its key. Nothing in it is proven.
func Example_unverified() {
	token := exampleToken(map[string]any{"sub": "ann", "aud": "mail"})
	looked, _, err := jwtlib.NewParser().ParseUnverified(token, jwtlib.MapClaims{})
	if err != nil {
		fmt.Println(err)
		return
	}
	claims := looked.Claims.(jwtlib.MapClaims)
	fmt.Println(looked.Header["alg"], claims["sub"], claims["aud"])
	// Output: HS256 ann mail
}
