// Package mac signs HTTP requests with a shared key, and verifies them, by MAC Access
// Authentication as draft-ietf-oauth-v2-http-mac-01 describes it.
//
// A client has credentials: an identifier, a key and the name of a hash. For each request, the
// client uses the key to hash parts of the request, the time and a nonce, and sends the result. It
// never sends the key. A server that has the same key hashes the request that it received in the
// same way, and compares the results. An eavesdropper therefore learns nothing that would help to
// make another request. The server refuses a captured request that is changed, sent again, or sent
// later.
//
// A [Signer] is the client's side and a [Verifier] is the server's side. [BaseString] returns the
// text that both sides hash, for comparison with another implementation.
//
// # The header
//
//	Authorization: MAC id="h480djs93hd8", ts="1336363200", nonce="dj83hs9s",
//	    ext="a,b,c", mac="GwJQDYyti3APlpfcBzcOUqHvlvY="
//
// The header is one field line of at most 8 KiB. Its grammar is a strict form of section 3.1 of the
// draft:
//
//	field = "MAC" 1*blank param *( *blank "," *blank param )
//	param = name "=" value                         ; each name once, in any order
//	name  = "id" / "ts" / "nonce" / "ext" / "mac"  ; in lower case; ext may be missing
//	value = DQUOTE *plain DQUOTE / 1*( ALPHA / DIGIT / "-" / "_" )
//	plain = %x20-21 / %x23-5B / %x5D-7E            ; no quote, no backslash: no escapes exist
//	blank = SP / HTAB
//
// The parameters are:
//
//   - id is the identifier. No parameter except ext may be empty. An empty ext means that there is
//     none.
//   - ts is the time in seconds since 1970: [1-9][0-9]{0,14}.
//   - nonce has at most 128 bytes. The id, ts and nonce together identify a request.
//   - ext is text for the application. The MAC covers it.
//   - mac is the whole HMAC (RFC 2104) of the base string, in base64 with padding and without spare
//     bits. The header does not name the hash, because the hash belongs to the credentials.
//
// A Signer writes the parameters in the order above, all in quotes. Its nonces are 16 characters
// that encode 96 random bits. A Verifier refuses a second Authorization field beside this one. It
// also refuses other spellings of the scheme: "mac", "MAC:" and "MACid=" are errors, not other
// schemes.
//
// # The base string
//
// The base string has seven lines. A line feed ends each line, including the last (section 3.2.1):
//
//	1336363200                    ts, as in the header
//	dj83hs9s                      nonce, as in the header
//	GET                           method, in upper case
//	/resource/1?b=1&a=2           target, as in the request line
//	example.com                   host of the Host field, in lower case, IPv6 with its brackets
//	80                            port of the Host field, else the default port of the scheme
//	a,b,c                         ext, or an empty line
//
// Both sides use the text of the key; a key in base64 is not decoded. The target is not decoded or
// rewritten either. So /a%2Fb and /a/b are two targets, and servers that distinguish them can rely
// on that. A Signer refuses a request that net/http would send in a form that cannot be signed: a
// target with blanks, control characters or bytes outside ASCII; a host with letters outside ASCII,
// which must be written in punycode; a port with leading zeros.
//
// # What the MAC covers
//
// The MAC covers the method, the target with its query, the host and the port, the time, the nonce
// and ext. It does not cover the body, unless both sides set BodyDigest. It does not cover other
// header fields, the response, or the scheme, except through its default port. An attacker who can
// change the traffic can change these parts; TLS prevents that. Only its key protects the id: if
// several ids have the same key, an attacker can replace one of them by another.
//
// BodyDigest adds the SHA-256 of the body to ext, after the application's own text and a blank:
//
//	sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:
//
// # Dialects
//
// The implementations in use read requests in different ways. The header is the same for all of
// them.
//
// [WebOb] is the dialect of macauthlib, for servers in Python. These servers see the path decoded,
// and encode it again. Letters, digits and -._~/!$&'()*+,;=:@ stay unescaped, and every other byte
// becomes %XX in upper case. Of several leading slashes, one remains. An empty query loses its
// question mark. The targets of each pair below therefore share one MAC, and a handler behind a
// Verifier with this dialect must not distinguish them:
//
//	/a%2Fb  /a/b       /%7Eu  /~u       /a%2Bb  /a+b       //a  /a       /a?  /a
//
// An absolute target counts as its path, and the target * stays unchanged. An IPv6 address without
// a port is cut at its last colon, so a Signer sends an explicit port.
//
// [Django] is the dialect of auth_mac. It signs the decoded path without its query, which is not
// protected. It signs the host as the client sends it, up to the first colon, and the port of the
// server's own socket. It supports SHA-1 only, and no ext. A Verifier accepts it during a
// [Transition] only.
//
// # Time and replay
//
// A timestamp passes if it lies within the Window around the server's clock, edges included. The
// window is absolute: a server learns nothing from the timestamps it sees, so no captured request
// becomes valid again. A client whose clock is wrong is told the time and signs again; package
// transport does so automatically. Within the window, [auth.Nonces] detects replays.
//
// # Challenges
//
// A server answers 401 with one of these challenges (section 4.1). This package chose the error
// words, and sends no others:
//
//	WWW-Authenticate: MAC
//	WWW-Authenticate: MAC error="stale", ts="1336363200"
//	WWW-Authenticate: MAC error="nonce"
//	WWW-Authenticate: MAC error="expired"
//	WWW-Authenticate: MAC error="invalid"
//
// [Verifier.Challenge] documents when each is sent, and [Signer.Read] documents how a client reads
// them.
//
// # When a MAC does not match
//
// A client is not told why its MAC is refused, so an operator who has the key must find the reason.
// [Explain] tries the known distortions between a signer and a verifier. It reports in one sentence
// which change would make the MAC match, and how to fix it. [Dump] shows the base string as one
// side sees it, for comparison with the other side's dump; it needs no key. A [Tripwire] next to
// the wire detects a wrapper that changes a request after it was signed. None of them makes
// additional network requests.
package mac
