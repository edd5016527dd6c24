package portal

import "github.com/countersign-go/countersign/auth"

// Package portal does not import auth, which is for HTTP. A Guard and a Limiter recognize portal's
// errors by their methods.
var (
	_ auth.SpentError = spent{}
	_ auth.DelayError = busy{}
)
