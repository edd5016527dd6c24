package jwt

import "github.com/countersign-go/countersign/auth"

// A judged is the refusal of a genuine token, whose subject is known.
type judged struct {
	error
	subject string
}

// about adds the subject of the token to a refusal, if the claims name one.
func about(claims map[string]any, err error) error {
	sub, missing := subject(claims)
	if missing != nil {
		return err
	}
	return &judged{err, sub}
}

var _ auth.SubjectError = (*judged)(nil)

func (j *judged) Unwrap() error { return j.error }

// Subject returns the subject of the token, for the log of an [auth.Guard].
func (j *judged) Subject() string { return j.subject }
