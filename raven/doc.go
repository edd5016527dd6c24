// Package raven lets people log in by the web login service of a university: by the Cambridge
// WAA-WLS protocol, versions 1 to 3, which is also known as Ucam-WebAuth or, after the service,
// Raven.
//
// # Logging in
//
// A [Login] does all of it for a site. In front of a page it is one line:
//
//	login := &raven.Login{Service: service, BaseURL: "https://app.example.org"}
//	mux.Handle("/", login.Require(page))
//	mux.HandleFunc("/logout", login.Logout)
//
// The page finds who it is with [auth.FromContext], as behind any other scheme, and how and for how
// long with [FromContext]. With a verifier of signatures as a second argument of Require, the same
// page serves programs, too. For all else that an [auth.Guard] can do, a Login is its Denied and a
// member of its Stack, and [Login.Answers] stands in front of it.
//
// A request of a browser is answered with the first of these that applies:
//
//  1. an answer of the service in the URL: it is taken, or refused with 400, 403 (no cookie) or 405
//     (not by GET); then to the URL without it, by 303
//  2. the service has just said that it did not log in: 401, once
//  3. another site has the browser send a form: 403
//  4. the user is not logged in, or the login has ended, or it was not made in the way that this
//     page asks for: to the service, by 303
//  5. the user is not let in: 403
//  6. the page
//
// A failure at the service does not send a browser there again, so no browser goes round in
// circles. The pages of 1, 2, 3 and 5 are one line of text, or written by Failed. Programs cannot
// use the service, and get a 401 at 2 and 4.
//
// A login ends with the answer to the next one: with another login, and also if the user cancels
// that or the service declines it. Other failures are about the demands of the page, such as a
// method that the service does not have. Their page is shown once, and the login goes on for pages
// that ask for less.
//
// A server stores nothing for a client that has not logged in. A browser that is sent to the
// service takes a signed cookie along, which lasts for an hour and holds the token that the answer
// has to bring back. Other sites cannot have a browser take an answer that it has not asked for, as
// they can neither read that cookie nor set it. The session begins with the first answer that says
// who the user is.
//
// Tabs of one browser share their logins: the first answer counts for all, and a password that was
// typed for a page that asks for more is typed again if another tab came back before. Tabs that a
// browser opens at once without a cookie have a token each, of which the last one stays; the others
// get 400 if they come back first, and then have to be opened once more.
//
// An answer counts once: its token is used up, and its time and id are remembered by the Login. The
// session gets another name whenever a login begins or ends, and none of a session outlives a
// logout. How a user has logged in and when is kept there, so pages that ask for different things
// can share it: each has a Login of its own, with the same Sessions.
//
//	lax := &raven.Login{Service: service, BaseURL: base, Sessions: sessions}
//	strict := &raven.Login{Service: service, BaseURL: base, Sessions: sessions,
//		IAct: raven.Must, MaxLife: 10 * time.Minute}
//
// The sessions are those of an [scs.SessionManager]. An application's own has to be set up for
// https, which a Login checks:
//
//	sessions := scs.New()
//	sessions.Cookie.Name, sessions.Cookie.Secure = "__Host-session", true
//
// Answers in versions 1 and 2 are taken as well: a service may answer a cancel in version 1,
// without the query of the URL, whatever it was asked in.
//
// Two replicas of a site share the Store of their Sessions and their CookieKeys. Each of them
// remembers by itself the answers that it has taken and the logins that have been logged out. So a
// browser that has kept an answer and the cookie of before can log in by them at each replica, for
// as long as IssueBounds allow. And a logout can be undone by a request that is running at another
// replica, and that saves the session after it.
//
// # Credentials for programs
//
// A issue.Handler with a Login as its Auth gives users credentials for their programs. With its
// MaxLoginAge it refuses users who have not proved lately who they are. Those include all users who
// come by single sign-on, as the service does not say when they last typed their password. Give the
// Handler a Login of its own with the same Sessions, IAct Must and a MaxLife that is no longer, and
// put its Require in front of the page that has the form: then the service asks once more.
//
// # From the Apache module
//
// The directives of mod_ucam_webauth have these counterparts:
//
//	AAAuthService, AALogoutService  LoginURL and LogoutURL of the Service
//	AAKeyDir                        Keys of the Service
//	AADescription                   Desc
//	AATimeoutMsg                    Msg, which is always sent
//	AAForceInteract on              IAct: Must
//	AARefuseInteract on             IAct: MustNot
//	AAMaxSessionLife                MaxLife; 7200 s is the default of both
//	AAIgnoreResponseLife            IgnoreWLSLife
//	AAInactiveTimeout               InactiveTimeout
//	AAResponseTimeout, AAClockSkew  IssueBounds{timeout + skew, skew}
//	Require user                    RequirePrincipal
//	Require group                   Authorize
//	AARequiredPtags                 RequirePTags; none is AnyPTags
//	AACancelMsg, AANeedInteractMsg  Failed, for a *StatusError
//	AANoCookieMsg                   Failed, for ErrNoSession
//	AALogout (a handler)            Logout, by POST
//	AALogoutMsg                     the LogoutURL, where one is sent in any case
//	AACookieName, -Path, -Domain    Cookie of Sessions
//	AACookieKey                     CookieKeys, for the way to the service and back alone
//	AACacheControl                  Cache-Control: private, unless the page says otherwise
//	AAHeaders, AAHeaderKey          FromContext
//	AAFail, AAAlwaysDecode          nothing: the first would end at the service, and the second
//	                                is about a URL that is not changed here
//
// # The protocol
//
// The application is the agent (WAA), and the login service is the WLS. The two never talk to each
// other. Both of their messages travel through the browser, as a redirect with status 303:
//
//	agent    303  https://login.example.org/auth/authenticate.html?ver=3&url=...&params=...
//	service  303  https://app.example.org/page?WLS-Response=3!200!!20240115T093000Z!...
//
// A [Request] is the first message and its Query the text of it. [Service.Parse] reads the second,
// which the service signs. [Response.Satisfies] reports whether the answer meets the demands of the
// request, as the user can change the request on its way.
//
// An answer that parses proves that the service wrote it. It does not prove that it was written for
// this site, this browser or this minute. A program that uses the messages directly must compare
// URL with the address that it sent, Issue with the clock, and Params with a secret of the
// browser's. It must also take each answer once only (section 4 of the protocol).
//
// # The answer
//
// It is 14 fields joined by exclamation marks, or 13 in versions 1 and 2, which have no ptags:
//
//	ver!status!msg!issue!id!url!principal!ptags!auth!sso!life!params!kid!sig
//
// It is read strictly. It is UTF-8 without the control characters of ASCII, and at most 8 KiB.
//
//   - In each field %25 stands for a percent sign and %21 for an exclamation mark. There is no
//     other escape.
//   - ver is 1, 2 or 3, and status one of those of type [Status].
//   - issue is YYYYMMDDThhmmssZ: fixed width, upper case, UTC.
//   - id and url are not empty.
//   - ptags and sso are lists with commas, without empty members.
//   - life is a number of seconds, 0|[1-9][0-9]{0,8}, or empty.
//   - kid is [1-9][0-9]{0,7}, and one of the Keys of the Service.
//   - sig is the signature of all before "!kid!sig", byte for byte, in base64 with - . _ in the
//     place of + / =, padded, without spare bits.
//
// A success has a principal, auth or sso or both, and a signature. Any other status has none of
// principal, ptags, auth, sso and life. It may be unsigned: then kid and sig are both empty.
//
// # The signature
//
// The protocol fixes RSASSA-PKCS1-v1_5 with SHA-1, and the operator's keys have 1024 bits. Both are
// weaker than anything that one would choose today. They are used here for these answers and for
// nothing else, and this package cannot sign. A program that allows only what FIPS 140 approves
// cannot verify them.
package raven
