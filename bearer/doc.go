// Package bearer signs HTTP requests with opaque bearer tokens (RFC 6750), and verifies them.
// Another party made such a token, and only that party can read it. A token is sent in the
// Authorization field, in another field, or in a cookie. Package jwt makes and verifies JSON Web
// Tokens.
//
// Most clients use a [Signer] with [Tokens], which fetch a token, share it among all callers, renew
// it before it expires and replace it when a server refuses it:
//
//	&bearer.Signer{Source: &bearer.Tokens{Fetch: login.Token}}
//
// [Login] gets a token for a user and a password, [FromTokenSource] from package oauth2. A token
// that does not expire needs only
//
//	&bearer.Signer{Source: bearer.StaticToken(token)}
//
// Each is the Signer of a countersign.Config, or of a transport.Transport.
//
// A [Verifier] is the server side. Its function Check looks a token up, in a database or at the
// service that issued it:
//
//	auth.Require(handler, &bearer.Verifier{Check: check})
//
// Anyone who has a bearer token can use it. So keep tokens out of logs and lifetimes short. Package
// mac is for requests that a thief cannot repeat.
//
// To send a token with curl without showing it in the list of processes:
//
//	printf 'Authorization: Bearer %s\n' "$TOKEN" | curl -H @- https://api.example.com/
package bearer
