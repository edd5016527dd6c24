// Package jwt makes and verifies JSON Web Tokens (RFC 7519), and signs HTTP requests with them. A
// token is sent in the Authorization field, in another field, or in a cookie. It is signed but not
// encrypted: anyone who sees it can read it.
//
// Most servers put a [Verifier] in front of a handler with [auth.Require]:
//
//	auth.Require(handler, &jwt.Verifier{
//		Keys:     &jwt.JWKS{URL: "https://issuer.example.com/keys"},
//		Issuer:   "https://issuer.example.com",
//		Audience: []string{"https://api.example.com"},
//	})
//
// The keys are one [Key], a [KeyMap] by key ID, or a [JWKS] that an issuer publishes, for instance
// with [Publish].
//
// Most clients use a [Signer]. It makes a token for each server, by that server's clock, and reuses
// the token until it is about to expire:
//
//	&jwt.Signer{Key: key, Method: "ES256", KeyID: "2026-11", Claims: claims}
//
// [Signer.Token] makes tokens for a login handler. A [Session] keeps browser users logged in with a
// token in a cookie. Package jwt/pyramid is for services that migrate from pyramid_jwt. Package
// bearer sends tokens that other programs made.
//
// The page docs/tokens.md of the repository lists the tokens and keys that are refused, and
// describes key sets, deny lists and sessions. The response to a client never says why a token is
// refused. The log does, and [Explain] says more.
//
// Call the Check methods when a program starts.
package jwt
