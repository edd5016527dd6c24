// Package mac signs HTTP requests with a shared key, and verifies them, by MAC Access
// Authentication as draft-ietf-oauth-v2-http-mac-01 describes it.
//
// A client has credentials: an identifier, a key and the name of a hash. For each request it hashes
// what it is about to send, together with the time and a nonce, and sends the result along; the key
// itself never leaves it. A server that knows the same key hashes what it has received and
// compares. So an eavesdropper learns nothing that would let him make another request, and a
// request that was captured works neither changed, nor a second time, nor later.
//
// A [Signer] is the client's side and a [Verifier] the server's. [BaseString] is the text that both
// hash, to compare with another implementation.
//
// # The header
//
//	Authorization: MAC id="h480djs93hd8", ts="1336363200", nonce="dj83hs9s",
//	    ext="a,b,c", mac="GwJQDYyti3APlpfcBzcOUqHvlvY="
//
// It is one field line of at most 8 KiB, in this grammar (section 3.1 of the draft, made strict):
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
//   - id is the identifier. It is not empty, nor are the others but ext, where "" means none.
//   - ts is the time in seconds since 1970: [1-9][0-9]{0,14}.
//   - nonce is at most 128 bytes. A request is told from others by id, ts and nonce together.
//   - ext is for the application, and covered by the MAC.
//   - mac is the HMAC (RFC 2104) of the base string in base64: all of it, padded, without spare
//     bits. The hash is not sent: it belongs to the credentials.
//
// A Signer writes the parameters in the order above, all in quotes, and a nonce of 16 characters
// from 96 random bits. A Verifier takes no second Authorization field beside this one, and no other
// spelling of the scheme: "mac", "MAC:" and "MACid=" are errors, not other schemes.
//
// # The base string
//
// Seven lines, each ended by a line feed, the last one too (section 3.2.1):
//
//	1336363200                    ts, as it is in the header
//	dj83hs9s                      nonce, as it is in the header
//	GET                           method, in upper case
//	/resource/1?b=1&a=2           target, as it is in the request line
//	example.com                   host of the Host field, in lower case, IPv6 with its brackets
//	80                            port of the Host field, else that of the scheme
//	a,b,c                         ext, or an empty line
//
// The key is hashed with as it is; one in base64 is not decoded. Nothing in this text is decoded or
// written in another form either, so that /a%2Fb and /a/b are two targets, as they are for servers
// that tell them apart. A request that net/http would send in a form that one cannot sign is
// refused: a target with blanks, control characters or bytes outside ASCII, a host in other letters
// than those of punycode, a port with leading zeros.
//
// # What is covered, and what is not
//
// Covered are the method, the target with its query, the host and the port, the time, the nonce and
// ext. Not covered are the body, unless both sides set BodyDigest, all other header fields, the
// scheme but for its default port, and the response. Whoever can change the traffic can change
// those; over TLS nobody can. The id is covered by its key alone: of ids that have the same key,
// one can be put in the place of another.
//
// BodyDigest puts the SHA-256 of the body into ext, behind a user's own text and a blank:
//
//	sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:
//
// # Dialects
//
// The implementations that are in use read requests in ways of their own. The header is the same.
//
// [WebOb] is that of macauthlib, for servers in Python. They see the path decoded and write it
// anew: letters, digits and -._~/!$&'()*+,;=:@ as they are, all else as %XX in upper case; of
// slashes at the start one; no question mark before an empty query. So with this dialect these
// targets share one MAC, and a handler behind a Verifier with it must not tell them apart:
//
//	/a%2Fb  /a/b       /%7Eu  /~u       /a%2Bb  /a+b       //a  /a       /a?  /a
//
// An absolute target counts as its path, and the target * stays. An IPv6 address without a port is
// cut at its last colon, so a Signer spells the port out.
//
// [Django] is the dialect of auth_mac: the path decoded and without its query, which is not
// protected; the host as the client sends it, up to the first colon; the port of the server's own
// socket; SHA-1 and no ext. A Verifier takes it during a [Transition] only.
//
// # Time and replay
//
// A timestamp passes if it lies within the Window around the server's clock, edges included. The
// window is absolute: a server learns nothing from the timestamps it sees, so no captured request
// becomes valid again. A client whose clock is wrong is told the time and signs again; package
// transport does so by itself. Within the window, [auth.Nonces] tells a replay.
//
// # Challenges
//
// A server answers 401 and one of these (section 4.1; the words are ours, and only these are sent):
//
//	WWW-Authenticate: MAC
//	WWW-Authenticate: MAC error="stale", ts="1336363200"
//	WWW-Authenticate: MAC error="nonce"
//	WWW-Authenticate: MAC error="expired"
//	WWW-Authenticate: MAC error="invalid"
//
// [Verifier.Challenge] says when, and [Signer.Read] what a client makes of them.
//
// # When a MAC does not match
//
// A client is not told why, so somebody who has the key has to look. [Explain] tries what is known
// to come between a signer and a verifier, and says in one sentence what would match, and what to
// do. [Dump] shows the base string as one side sees it, to be compared with that of the other; it
// needs no key. A [Tripwire] next to the wire finds a wrapper that changes what was signed already.
// None of them asks anybody over the network.
package mac
