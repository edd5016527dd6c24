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
// A login handler makes tokens by [Signer.Token]. A [Session] keeps the users of browsers logged in by
// a token in a cookie. Package jwt/pyramid is for services that come from pyramid_jwt, and package
// bearer sends tokens that other programs made.
//
// # Refused tokens
//
//   - A token whose alg is not the method of the key; none is not supported. A key of another kind
//     than its method's, a public key as a secret, and keys that are too short, unless Weak says so,
//     are an [ErrKey].
//   - A token of over 8 KiB, before it is decoded; one that is not exactly base64url; one with names
//     twice, or almost those of RFC 7515 and RFC 7519; and crit, b64, enc, zip and nested tokens.
//   - A token without exp, unless NoExpiry says so; one that has ended, begins later, or was made
//     later than now, beyond the Leeway; one whose exp, nbf or iat is not a number from 0 to 2^53.
//   - A token for another Audience, and one for any if the Verifier has none. A token of another
//     Issuer, if one is set, and of another typ.
//   - Two tokens in one place of a request. A cookie that another site made the browser send with a
//     request that changes something.
//
// Keys that come with a token (jwk, jku, x5u, x5c) are ignored. A kid is looked up, and used for no
// other purpose.
//
// A client is told that its token is not accepted, and never why. The log is. [Explain] says more:
// by how much a token has expired, whom it is for, that it sits elsewhere or was cut off, or that one
// side decodes the key.
package jwt
