// Package raven lets people log in with the web login service of a university. It speaks the
// Cambridge WAA-WLS protocol, versions 1 to 3, which is also known as Ucam-WebAuth or, after the
// service, Raven.
//
// # Logging in
//
// A [Login] implements the protocol for a site. One line puts it in front of a page:
//
//	login := &raven.Login{Service: service, BaseURL: "https://app.example.org"}
//	mux.Handle("/", login.Require(page))
//	mux.HandleFunc("/logout", login.Logout)
//
// The page gets the user from [auth.FromContext], as behind any other scheme. [FromContext] returns
// how the user logged in and when the login ends. With a verifier of signatures as a second
// argument of Require, the same page also serves programs. To use other features of an
// [auth.Guard], set the Login as its Denied, add it to its Stack, and put [Login.Answers] in front
// of it.
//
// A request of a browser is answered with the first of these that applies:
//
//  1. an answer of the service is in the URL: the Login accepts it and redirects with 303 to the
//     URL without it, or refuses it with 400, 403 (no cookie) or 405 (not a GET)
//  2. the service has just reported that it did not log the user in: 401, once
//  3. another site made the browser send a form: 403
//  4. the user is not logged in, or the login has ended, or it was not made in the way that this
//     page asks for: 303 to the service
//  5. the user is not allowed to see the page: 403
//  6. the page
//
// After a failure at the service, the Login does not redirect the browser there again, so there is
// no redirect loop. The refusals of 1, 2, 3 and 5 are one line of text, or the page that Failed
// writes. Programs cannot use the service: they get a 401 in cases 2 and 4. The service sends its
// answer to the URL that the user asked for, in the query parameter WLS-Response, so a site needs
// no separate URL for answers.
//
// A login ends when the next attempt succeeds, when the user cancels that attempt, or when the
// service declines it. Other failures concern the demands of the page, such as an authentication
// type that the service does not offer. The user is told once, and the login stays valid for pages
// that ask for less.
//
// A server stores nothing for a client that has not logged in. A browser that is sent to the
// service gets a signed cookie, which lasts for an hour and holds the token that the answer must
// contain. Another site cannot make a browser accept an answer that it did not ask for, because
// that site can neither read nor set the cookie. The session begins with the first answer that
// names the user.
//
// The tabs of one browser share a login: the first answer counts for all of them. If another tab
// came back earlier, a user who typed the password for a page with higher demands has to type it
// again. Tabs that a browser opens at the same time, without a cookie, each get a token, and the
// browser keeps the last one. The other tabs get 400 if they come back first, and then have to be
// opened again.
//
// An answer is accepted once: its token is used up, and the Login remembers its time and id. The
// session gets a new token whenever a login begins or ends, and a logout deletes the whole session.
// The session holds how and when the user logged in, so pages with different demands can share it.
// Each of these pages has its own Login, with the same Sessions. That Login checks the session, and
// may send the user to log in again:
//
//	lax := &raven.Login{Service: service, BaseURL: base, Sessions: sessions}
//	strict := &raven.Login{Service: service, BaseURL: base, Sessions: sessions,
//		IAct: raven.Must, MaxLife: 10 * time.Minute}
//
// An [scs.SessionManager] keeps the sessions. An application that passes its own must set it up for
// https, which a Login checks:
//
//	sessions := scs.New()
//	sessions.Cookie.Name, sessions.Cookie.Secure = "__Host-session", true
//
// A Login also accepts answers in versions 1 and 2: a service may report a cancelled login in
// version 1, without the query of the URL, whatever version the request had.
//
// Replicas of a site share the Store of their Sessions and their CookieKeys. The memory of accepted
// answers and of ended logins is not shared: each replica has its own. So a browser that kept an
// answer and the earlier cookie can log in with them once at each replica, for as long as
// IssueBounds allow. A request that is running at another replica can also undo a logout, if it
// saves the session afterwards.
//
// # Credentials for programs
//
// An issue.Handler with a Login as its Auth gives users credentials for their programs. Its
// MaxLoginAge refuses users who have not recently proved their identity. These include all users
// who came by single sign-on, because the service does not say when they last typed their password.
// Give the Handler a separate Login with the same Sessions, IAct Must, and a MaxLife of at most
// MaxLoginAge. Put the Require of that Login in front of the page with the form: then the service
// asks for the password again.
//
// # From the Apache module
//
// The directives of mod_ucam_webauth correspond to these fields and methods:
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
// The application is the agent (WAA), and the login service is the WLS. They never connect to each
// other. Each of the two messages is a redirect with status 303 and travels through the browser:
//
//	agent    303  https://login.example.org/auth/authenticate.html?ver=3&url=...&params=...
//	service  303  https://app.example.org/page?WLS-Response=3!200!!20240115T093000Z!...
//
// A [Request] is the first message, and [Request.Query] returns its text. [Service.Parse] reads the
// second, which the service signs. [Response.Satisfies] reports whether the answer meets the
// demands of the request: the user could have changed the request on its way.
//
// A success that parses was written by the service. It may have been written for another site, for
// another browser or at another time. A program that uses the messages directly must compare URL
// with the address that it sent, Issue with the clock, and Params with a secret that belongs to the
// browser. It must also accept each answer only once (section 4 of the protocol).
//
// # The answer
//
// It is 14 fields joined by exclamation marks, or 13 in versions 1 and 2, which have no ptags:
//
//	ver!status!msg!issue!id!url!principal!ptags!auth!sso!life!params!kid!sig
//
// The parser is strict. An answer is UTF-8 without ASCII control characters, and at most 8 KiB.
//
//   - In each field %25 stands for a percent sign and %21 for an exclamation mark. No other escape
//     is allowed.
//   - ver is 1, 2 or 3, and status is one of the constants of type [Status].
//   - issue is YYYYMMDDThhmmssZ: fixed width, upper case, UTC.
//   - id and url are not empty.
//   - ptags and sso are comma-separated lists without empty members.
//   - life is a number of seconds that matches 0|[1-9][0-9]{0,8}, or empty.
//   - kid matches [1-9][0-9]{0,7}, and is one of the Keys of the Service.
//   - sig is the signature of all bytes before "!kid!sig". It is padded base64 with - . _ in place
//     of + / =, without spare bits.
//
// A success has a principal, auth or sso or both, and a signature. With any other status,
// principal, ptags, auth, sso and life are empty. Such an answer may be unsigned: then kid and sig
// are both empty.
//
// # The signature
//
// The protocol requires RSASSA-PKCS1-v1_5 with SHA-1, and the operator's keys have 1024 bits. Both
// are too weak for new designs. This package uses them only to verify these answers, and it cannot
// sign. A program that is restricted to algorithms approved by FIPS 140 cannot verify them.
package raven
