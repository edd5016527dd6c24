// Package bearer signs HTTP requests with tokens, and verifies them: OAuth 2.0 bearer tokens (RFC
// 6750), and JSON Web Tokens (RFC 7519) that this program makes or checks itself. A token sits in
// the Authorization field, in another field, or in a cookie.
//
// Whoever has a bearer token can use it, and whoever sees a JSON Web Token can read what is in it:
// it is signed, and not encrypted. So keep secrets out of claims, tokens out of logs, and lifetimes
// short. Package mac is for requests that a thief cannot repeat.
//
// # Clients
//
// A [Signer] sends tokens that somebody else made. [Tokens] fetches them, shares them and replaces
// those that were refused; [Login] gets them for a user and a password; [FromTokenSource] takes
// them from package oauth2:
//
//	&bearer.Signer{Source: bearer.StaticToken(token)}
//	&bearer.Signer{Source: &bearer.Tokens{Fetch: login.Token}}
//
// A [JWT] makes its own, by the clock of the server, and uses each as long as it is good:
//
//	&bearer.JWT{Key: key, Method: "ES256", KeyID: "2026-11", Claims: claims}
//
// Each is the Signer of a countersign.Config, or of a transport.Transport.
//
// # Servers
//
// A [Verifier] tells who sent a request. It goes in front of a handler by [auth.Require]:
//
//	auth.Require(handler, &bearer.Verifier{
//		Keys:     &bearer.Key{Method: "HS256", Key: secret},
//		Audience: []string{"https://api.example.com"},
//	})
//
// Its keys are one [Key], a [KeyMap] by key id, or a [JWKS] that an issuer publishes. What the
// handler finds is an [auth.Identity], after Groups and Revoked were asked. The claims of a token
// that is merely genuine, which is not to say that its user is let in, come from [Verifier.Verify].
// A login handler makes tokens by [JWT.Token].
//
// # Cookies
//
// A [Session] keeps the users of browsers logged in:
//
//	session := &bearer.Session{
//		JWT:          &bearer.JWT{Key: secret, Method: "HS256", Lifetime: 2 * time.Hour},
//		ReissueAfter: time.Hour,
//	}
//	err := session.Set(w, user, nil)                           // in the handler of a login
//	err := session.Clear(w, req)                               // and of a logout, for POST only
//	session.Handler(auth.Optional(handler, session))           // in front of all handlers
//
// The cookie is HttpOnly always, and Secure, SameSite=Lax and of this host only unless the Session
// says otherwise. HttpOnly keeps it from scripts, and not from whoever sits at the browser. A
// cookie that has ended, or is none of ours, makes a request anonymous: browsers send them unasked.
// In a field, what is there and wrong is refused.
//
// # What is refused
//
//   - A method that is not that of the key, whatever the token says; none does not exist. A key of
//     another kind than its method's, a public key as a secret, and keys that are too short, unless
//     Weak says so, are an [ErrKey].
//   - A token of over 8 KiB, before anything is decoded; one that is spelled otherwise than its
//     parts are in base64url; one with names twice, or almost those of RFC 7515 and RFC 7519; and
//     crit, b64, enc, zip and nested tokens.
//   - Keys that come with a token (jwk, jku, x5u, x5c) are not looked at. A kid is looked up, and
//     nothing else is done with it.
//   - A token without exp, unless NoExpiry says so; one that has ended, begins later, or was made
//     later than now, but for the Leeway; one whose exp, nbf or iat is not a number from 0 to 2^53.
//   - A token for another Audience, and one for any if the Verifier has none. A token of another
//     Issuer, if one is set, and of another typ.
//   - Two tokens in one place of a request. A cookie by which another site has the browser change
//     something.
//
// A client is told that its token is not accepted, and never why. The log is. [Explain] says more,
// to whoever looks into it: by how much a token has expired, whom it is for, that it sits elsewhere
// or was wrapped or cut off, or that one side decodes the key.
//
// # By hand
//
// A token can be sent with curl. This way it does not appear in the list of processes:
//
//	printf 'Authorization: Bearer %s\n' "$TOKEN" | curl -H @- https://api.example.com/
//
// To look into a token without its key, and so without any proof, use ParseUnverified of
// github.com/golang-jwt/jwt/v5, as the example "unverified" does.
//
// # Coming from pyramid_jwt
//
// [FromPyramid] reads its settings from a file. By hand they are, where J is a [JWT], V a
// [Verifier] and S a [Session]:
//
//	pyramid_jwt          here
//	private_key          J.Key, and Key.Key in V.Keys where that is a secret
//	public_key           Key.Key in V.Keys; it may be left to the private one
//	algorithm            J.Method and Key.Method; there is no default (HS512 with FromPyramid)
//	expiration           J.Lifetime, 5 minutes by default; none: J.NoExpiry and V.NoExpiry
//	audience             V.Audience, and an argument of J.Token
//	leeway               V.Leeway
//	http_header          J.Header and V.Header, in any case
//	auth_type            J.Scheme and V.Scheme, Bearer by default (JWT with FromPyramid)
//	callback             V.Groups; an error of it refuses the user
//	json_encoder         json.Marshaler, on the claims that need it
//	default_claims       J.Claims for requests; claims in a map of your own for J.Token and S.Set
//	cookie_name          S.Name
//	cookie_path          S.Path, "/" by default
//	https_only           S.Insecure, the other way round (in a file: https_only_cookie)
//	reissue_time         S.ReissueAfter (in a file: cookie_reissue_time)
//	create_jwt_token     J.Token; its expiration and audience are arguments
//	remember, domains    S.Set, S.Domains
//	forget               S.Clear; with S.DenyList a copy of the token has ended too
//	jwt_claims           the Claims of the auth.Identity, or V.Verify
//	its cookies          S.PyramidCookie, V.PyramidCookie and J.PyramidCookie
//
// What differs: a request with a token that is wrong is refused, and not anonymous, unless the
// token is in a cookie. Where clients rely on the old way, put this in place of V:
//
//	type lenient struct{ *bearer.Verifier }
//
//	func (l lenient) Authenticate(req *http.Request) (*auth.Identity, error) {
//		id, err := l.Verifier.Authenticate(req)
//		if errors.Is(err, bearer.ErrRefused) {
//			err = fmt.Errorf("%w: %w", auth.ErrNone, err)
//		}
//		return id, err
//	}
//
// The scheme is compared without case. Secrets have a least length. A cookie
// is for the host that set it. Its token has the time of the login in auth_time. One that replaces
// another keeps audience and lifetime of the first; a token that lives by the Leeway alone gets
// none. No session lasts longer than S.MaxAge, but for one whose token has no iat, as pyramid_jwt
// takes it. None of S.Domains lies below another, where browsers would send two cookies.
package bearer
