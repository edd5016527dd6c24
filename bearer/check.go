package bearer

import (
	"context"
	"net/http"
)

// Check returns why Sign would fail for every request because of the fields of s, or nil. It checks
// a Source that is a [StaticToken] or has a method Check. It fetches nothing. Call the Check
// methods when a program starts.
func (s *Signer) Check() error {
	p, err := s.place()
	if err != nil {
		return err
	}
	switch source := s.Source.(type) {
	case nil:
		_, err = s.token(context.Background())
	case *staticToken:
		t, err := s.token(context.Background())
		if err != nil {
			return err
		}
		return put(p, make(http.Header), t.AccessToken)
	case interface{ Check() error }:
		err = source.Check()
	}
	return err
}

// Check returns why Token would fail for every call because of the fields of l, or nil. It sends
// nothing.
func (l *Login) Check() error {
	_, _, err := l.prepare(context.Background())
	return err
}
