// Package pyramid is for services that take over the tokens and cookies of pyramid_jwt.
//
// [FromSettings] returns a [jwt.Session] for the settings in a file of Pyramid. [Cookie] is the
// encoding of its cookies.
//
// # Settings
//
// In the table, Signer is a [jwt.Signer], Verifier a [jwt.Verifier] and Session a [jwt.Session]:
//
//	pyramid_jwt          here
//	private_key          Signer.Key, and Key.Key in Verifier.Keys where that is a secret
//	public_key           Key.Key in Verifier.Keys; it may be left to the private one
//	algorithm            Signer.Method and Key.Method; HS512 with FromSettings
//	expiration           Signer.Lifetime; none: NoExpiry of Signer and Verifier
//	audience             Verifier.Audience, and an argument of Signer.Token
//	leeway               Verifier.Leeway
//	http_header          Header of Signer and Verifier, in any case
//	auth_type            Scheme of Signer and Verifier, Bearer by default (JWT with FromSettings)
//	callback             Verifier.Groups; an error of it refuses the user
//	json_encoder         json.Marshaler, on the claims that need it
//	default_claims       Signer.Claims for requests; the claims of Signer.Token and Session.Set
//	cookie_name          Session.Name
//	cookie_path          Session.Path, "/" by default
//	https_only           Session.Insecure, the other way round (in a file: https_only_cookie)
//	reissue_time         Session.ReissueAfter (in a file: cookie_reissue_time)
//	create_jwt_token     Signer.Token; its expiration and audience are arguments
//	remember, domains    Session.Set, Session.Domains
//	forget               Session.Clear; with Session.DenyList a copy of the token has ended too
//	jwt_claims           the Claims of the auth.Identity, or Verifier.Verify
//	its cookies          Encoding of Session, Verifier and Signer, set to Cookie
//
// # Differences
//
// A request with a wrong token is refused, and not anonymous, unless the token is in a cookie. If
// clients rely on the old way, put this in place of the Verifier:
//
//	type lenient struct{ *jwt.Verifier }
//
//	func (l lenient) Authenticate(req *http.Request) (*auth.Identity, error) {
//		id, err := l.Verifier.Authenticate(req)
//		if errors.Is(err, jwt.ErrRefused) {
//			err = fmt.Errorf("%w: %w", auth.ErrNone, err)
//		}
//		return id, err
//	}
//
// Schemes are compared without case, and secrets have a least length. A cookie is for the host that
// set it, with the path / and SameSite=Lax unless the settings say otherwise. Its token has the
// time of the login in auth_time. A token that replaces another keeps its audience and lifetime;
// one that is accepted because of the Leeway alone is not replaced. No session lasts longer than
// Session.MaxAge, except one whose token has no iat: pyramid_jwt accepts such a token, as does a
// Session of FromSettings. No domain of Session.Domains may lie below another, where browsers would
// send two cookies.
package pyramid
