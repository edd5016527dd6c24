// Package jwt makes and verifies JSON Web Tokens (RFC 7519), and signs HTTP requests with them. A
// token sits in the Authorization field, in another field, or in a cookie. It is signed and not
// encrypted, so anyone who sees it can read it.
//
// Most servers put a [Verifier] in front of a handler, by [auth.Require]:
//
//	auth.Require(handler, &jwt.Verifier{
//		Keys:     &jwt.JWKS{URL: "https://issuer.example.com/keys"},
//		Issuer:   "https://issuer.example.com",
//		Audience: []string{"https://api.example.com"},
//	})
//
// Its keys are one [Key], a [KeyMap] by key id, or a [JWKS] that an issuer publishes, as [Publish]
// does. The handler finds an [auth.Identity], after Groups and Revoked were asked.
//
// Most clients use a [Signer], which makes a token for each server by its clock, and uses the token
// again until it is about to end:
//
//	&jwt.Signer{Key: key, Method: "ES256", KeyID: "2026-11", Claims: claims}
//
// A login handler makes tokens by [Signer.Token]. A [Session] keeps the users of browsers logged in
// by a token in a cookie. Package jwt/pyramid is for services that come from pyramid_jwt, and
// package bearer sends tokens that other programs made.
//
// The page docs/tokens.md of the repository lists the tokens and keys that are refused, and tells
// how key sets, deny lists and sessions behave. A client is told that its token is not accepted,
// and never why. The log is told why, and [Explain] says more.
package jwt
