// Package portal checks logins without depending on a protocol: it decides whether the given
// credentials are right and gives the user an object to work with. It follows Twisted Cred.
//
// A service that only asks whether a password is right needs a [Checker] and nothing else:
//
//	users := &portal.File{Path: "users.txt"} // lines of htpasswd -nB -C 12
//	name, err := users.Check(ctx, portal.Password{User: user, Password: password})
//	// errors.Is(err, portal.ErrUnauthorized): wrong
//
// A service that makes an object for each user who logs in, such as a mailbox or a shell, has a
// [Portal]. A protocol passes [Credentials] to [Portal.Login], and then:
//
//  1. The Checkers that handle this Go type of credentials are asked in turn, until one names the
//     subject, which identifies the user.
//  2. The [Realm] makes an avatar for the subject: an object with the operations that the user may
//     perform here. It is of the first of the wanted kinds that the Realm has.
//  3. The protocol gets a [Session] with the avatar, uses it, and calls its Logout at the end.
//
// Neither the protocol nor the Realm knows where passwords are stored. So the program can leave
// that choice to the user who starts it: [Flags] adds --auth to its command line.
//
// # Words
//
// Readers who know Cred find its pieces here:
//
//	ICredentials, UsernamePassword       Credentials, Password
//	IUsernameHashedPassword              Response
//	IAnonymous, ANONYMOUS                Anonymous, AnonymousSubject
//	ICredentialsChecker, avatar id       Checker, subject
//	FilePasswordDB                       File
//	InMemory...DatabaseDontUse           Memory
//	AllowAnonymousAccess                 AllowAnonymous
//	UNIXChecker, --auth unix             Command, --auth unix
//	IRealm.requestAvatar                 Realm
//	interfaces, mind                     kinds (Go types), context
//	Portal.login, logout                 Portal.Login, Session.Logout
//	UnauthorizedLogin                    ErrUnauthorized
//	UnhandledCredentials                 ErrUnhandled
//	LoginDenied                          ErrDenied
//	AuthOptionMixin, checker factory     Flags, Type
//
// If two Checkers handle one kind of credentials, both are asked; Cred asks only the last one.
//
// # Stored passwords
//
// [File] and [SQL] accept these formats, and no others unless their Verify handles them:
//
//	$2a$ $2b$ $2y$                       bcrypt, up to cost 16
//	$y$                                  yescrypt, up to 256 MiB
//	$argon2id$v=19$m=,t=,p=              Argon2id (RFC 9106), up to 256 MiB, 1 GiB over all passes
//	$pbkdf2-sha256$ $pbkdf2-sha512$      PBKDF2 (RFC 8018), up to 10,000,000 rounds
//	$5$ $6$                              SHA-crypt, up to 1,000,000 rounds
//
// The bounds keep a wrong or hostile line from exhausting the machine. Formats based on MD5, on one
// round of SHA-1, or on DES ($apr1$, $1$, {SHA}, crypt(3)) can be searched too fast and are
// refused. To make a line, use "htpasswd -nB -C 12 NAME", or "openssl passwd -6" for the hash
// alone. The program that makes a hash chooses its cost, and cheap hashes are accepted, too:
// without -C, htpasswd makes bcrypt of cost 5, which can be searched a hundred times as fast.
//
// [File] and [SQL] hash as many passwords at once as there are processors. Other logins wait for
// 750 ms at most and then fail with [ErrBusy], which basic.Verifier answers with 503 and
// Retry-After. So a flood of wrong passwords cannot make a right one wait for long, but it can
// crowd it out. An auth.Limiter in front, by address, keeps the flood small.
//
// A password over 1 KiB is wrong. A password over 72 bytes is wrong where bcrypt is used, since
// bcrypt would ignore the rest. A password over 256 bytes is wrong for SHA-crypt, whose cost grows
// with the length. A name is up to 255 bytes of UTF-8 without control characters.
//
// # System accounts
//
// [Command] accepts the users of the machine, by a helper program such as pwauth, which asks PAM.
// So locked and expired accounts, delays, the system's log and other rules of PAM apply, and
// neither the service nor any part of this module runs as root. On a command line it is --auth
// unix. A helper for another system, such as saslauthd or LDAP, is a program of a few lines.
//
// To give a service its own users with the passwords they already have, let an administrator copy
// their lines from /etc/shadow into a [File] once. It reads $y$, $5$, $6$ and $2b$ unchanged. A
// service that reads /etc/shadow itself would have to run as root: do not do that.
//
// # Audit
//
// A Portal has no hook for each step of a login. A [Checker] around Checkers sees each verdict and
// its reason, as the example "Audit" of Checker shows. The [Realm] sees each user who logs in.
package portal
