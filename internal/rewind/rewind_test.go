package rewind_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign-go/countersign/internal/rewind"
)

func TestInMemory(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"strings.Reader": strings.NewReader("x"),
		"bytes.Reader":   bytes.NewReader([]byte("x")),
		"bytes.Buffer":   bytes.NewBufferString("x"),
	} {
		req, _ := http.NewRequest("PUT", "https://api.example.com/", body)
		if !rewind.InMemory(req.Body) {
			t.Errorf("%s is not seen to be in memory", name)
		}
	}
	for name, body := range map[string]io.ReadCloser{
		"another reader": io.NopCloser(io.LimitReader(strings.NewReader("x"), 1)),
		"another closer": struct{ io.ReadCloser }{io.NopCloser(strings.NewReader("x"))},
		"no body":        http.NoBody,
	} {
		if rewind.InMemory(body) {
			t.Errorf("%s is taken for one in memory", name)
		}
	}
}

type uncomparable struct {
	io.ReadCloser
	_ []int
}

func TestBody(t *testing.T) {
	failed := errors.New("the file is gone")
	read, other := io.NopCloser(new(bytes.Buffer)), io.NopCloser(new(bytes.Buffer))
	for _, tt := range []struct {
		name string
		body io.ReadCloser
		err  error
		ok   bool
	}{
		{"another reader", other, nil, true},
		{"one that cannot be compared", uncomparable{ReadCloser: other}, nil, true},
		{"the same", read, nil, false},
		{"none", nil, nil, false},
		{"failure", other, failed, false},
	} {
		body, err := rewind.Body(func() (io.ReadCloser, error) { return tt.body, tt.err }, read)
		if (err == nil) != tt.ok || (body != nil) != tt.ok || tt.err != nil && err != tt.err {
			t.Errorf("%s: %v, %v", tt.name, body, err)
		}
	}
}
