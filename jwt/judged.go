package bearer

import "github.com/golang-jwt/jwt/v5"

// A judged is the refusal of a genuine token, whose subject is known.
type judged struct {
	error
	subject string
}

// about adds to a refusal whose token it is of, if the claims say so.
func about(claims jwt.MapClaims, err error) error {
	sub, nobody := subject(claims)
	if nobody != nil {
		return err
	}
	return &judged{err, sub}
}

func (j *judged) Unwrap() error { return j.error }

// Subject is for the log of an [auth.Guard].
func (j *judged) Subject() string { return j.subject }
