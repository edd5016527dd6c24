package authtest_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-go/countersign/authtest"
)

// shout answers each line of the request as it arrives.
func shout(w http.ResponseWriter, req *http.Request) {
	lines := bufio.NewScanner(req.Body)
	for lines.Scan() {
		fmt.Fprintf(w, "%s!\n", lines.Text())
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

// talk sends lines one by one, each after the answer to the line before.
func talk(client *http.Client, url string) error {
	r, w := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, url, r)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answers := bufio.NewScanner(resp.Body)
	for _, line := range []string{"one", "two"} {
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			return err
		}
		if !answers.Scan() || answers.Text() != line+"!" {
			return fmt.Errorf("the answer to %q is %q: %w", line, answers.Text(), answers.Err())
		}
	}
	_ = w.Close()
	if answers.Scan() || answers.Err() != nil {
		return fmt.Errorf("the answer goes on with %q: %w", answers.Text(), answers.Err())
	}
	return resp.Body.Close()
}

// A client that sends more only after it has read from the answer works in memory and over a
// socket.
func TestEarlyAnswer(t *testing.T) {
	for name, client := range clients {
		s := authtest.NewService(t)
		s.Handler = http.HandlerFunc(shout)
		s.Set(fault{Requests: trouble{EarlyAnswer: true}})
		if err := talk(client(s), page); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		seen := s.Seen()
		if seen.Accepted != 1 || seen.Log[len(seen.Log)-1].Body != int64(len("one\ntwo\n")) {
			t.Errorf("%s: seen %+v", name, seen)
		}
	}
	s := authtest.NewService(t)
	s.Handler = http.HandlerFunc(shout)
	s.Set(fault{Requests: trouble{EarlyAnswer: true}})
	token, err := s.Tokens().Credentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := s.Server()
	server.Client().Transport = withToken{token.AccessToken, server.Client().Transport}
	if err := talk(server.Client(), server.URL); err != nil {
		t.Errorf("over a socket: %v", err)
	}
}

// withToken is a client without the library, so that the test checks only the service.
type withToken struct {
	token string
	base  http.RoundTripper
}

func (c withToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+c.token)
	return c.base.RoundTrip(req)
}

// If the client closes an answer, the handler cannot read on. If an answer is lost, it does not
// look complete.
func TestEarlyAnswerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := authtest.NewService(t)
		ended := make(chan error, 9)
		s.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, err := io.Copy(io.Discard, req.Body)
			ended <- err
		})
		s.Set(fault{Requests: trouble{EarlyAnswer: true}})
		client := clients["JWT"](s)
		r, w := io.Pipe()
		resp, err := client.Post(page, "text/plain", r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		_ = w.Close()
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Error("the handler still reads after the client has closed the answer")
		}

		s.Set(fault{Requests: trouble{EarlyAnswer: true, LoseAnswer: true}})
		if got := get(client); got != "cut off" {
			t.Errorf("a lost answer: %s", got)
		}
		s.Set(fault{Requests: trouble{EarlyAnswer: true, LoseRequest: true}})
		if got := get(client); got != "error" {
			t.Errorf("a lost request: %s", got)
		}
		s.Set(fault{Requests: trouble{EarlyAnswer: true}})
		if resp, err := client.Head(page); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("HEAD: %v, %v", resp, err)
		}
	})
}
