// Package transport signs and sends requests. Its [Transport] is an [http.RoundTripper] that has
// each attempt signed by a [Signer], whatever the scheme. When the server refuses a request, the
// Transport corrects the cause if it can, and sends the request again.
//
// # Where credentials go
//
// An origin is a scheme, a host and a port (RFC 9110, section 4.3.1). Hosts are compared without
// regard to the case of ASCII letters; a host that is not ASCII equals only itself. Requests are
// signed for the origin that the caller addressed. After a redirect, a request is signed only if
// every hop stayed at that origin, since a hop elsewhere has chosen the URLs of all hops after it.
// [Transport].Origins narrows that further. All other requests are sent as the caller made them.
// Requests over plain http are signed only for loopback hosts, and for origins that the user listed
// with "http://". A loopback host does not count if the Proxy of the [http.Transport] that sends
// the request is on another machine; see [Transport].Base.
//
// The Transport recognizes a redirect by the Response field of the request. If a RoundTripper
// between the [http.Client] and the Transport makes requests of its own, they lack that field: set
// Origins.
//
// # What happens on a refusal
//
// A refusal is status 401, unless Refused says otherwise. One call takes these steps, called rungs,
// each at most once. So it sends at most four requests, or six while it waits for the server to
// know new credentials:
//
//  1. Clock: the server says that the timestamp is stale, or its time differs from the time in the
//     signature by more than 5 s, unless the scheme has another tolerance. The request is signed
//     again by the server's clock, with the same credentials. If the credentials do not depend on
//     the time, that changes nothing: the request is not sent, and the rung is chosen by the reason
//     in the answer instead.
//  2. Again: the server says that the nonce was seen before, which happens when net/http repeats a
//     request on a new connection. Or the server asks for something that the scheme can add, such
//     as a nonce that the server chose. The request is signed again, with the same credentials.
//  3. Credentials: the Signer replaces the refused credentials ([Refresher]), and the request is
//     signed again, still by the server's clock. If they are so new that the server may not know
//     them yet, the Signer waits instead, and this rung may be climbed twice more.
//  4. Otherwise the caller gets the refusal, as a response. [History] returns the attempts and the
//     reason why no other followed.
//
// # Bodies
//
// A request's body is sent again if the request has GetBody, or if no byte of the body was read for
// the refused attempt. To make the second case likely, the Transport asks the server before it
// sends the body, by an "Expect: 100-continue" field. It does so if the request has no GetBody and
// its body is longer than 1 MiB, or has an unknown length and its first byte was available within
// 50 ms. It does not ask for a GET, HEAD, DELETE or OPTIONS with a body of unknown length, nor if
// the request already has an Expect field, even an empty one.
//
// Asking costs one round trip. If the server never sends status 100, it costs one second, and the
// Transport does not ask that server again for 10 minutes. Once any final answer has come, the body
// is sent as if the Transport had not asked, so a handler may answer before it reads. The caller
// does not get status 417: the request is sent once more without the field. The same holds for
// status 400, 501 and 505, and if the connection ends, provided that the origin has never answered
// 100 and no byte of the body was read. If the Transport did not ask, and an attempt has read a
// part of the body, the request is not sent again: the last [Attempt] then has [StopBody].
//
// Two limits come from net/http. Its server closes the connection of a request with an Expect
// field, unless the handler reads the whole body. Its HTTP/2 client stops sending a body when it
// sees a final status of 300 or above: a handler that sends such a status and then reads the body
// waits until the caller closes the answer.
//
// # The clock
//
// A server's time is believed only if it comes with a refusal, if the round trip took at most 5 s,
// and if it is within 366 days of this machine's clock. It must also come over TLS or from a
// loopback host, unless the scheme has authenticated it. The time is taken from the challenge, else
// from X-Timestamp, else from Date. The value of an Age field is added; if that is above the
// tolerance, the time is unknown.
//
// If the server did not ask for another time, and then says that the corrected time is stale, the
// correction is undone and the reason of the first refusal counts. If a server refuses an offset of
// [Clock.Set] that no server has accepted yet, and its answer does not state the time, this
// machine's time is tried once instead. See [Clock].
//
// # Writing a Signer
//
// A scheme implements [Signer], and as many of the optional interfaces [Refuser], [Reader],
// [Refresher] and [Observer] as apply to it. The Transport finds these by type assertion, also
// behind a [Choose], a [ByOrigin] and every Signer that has a method
//
//	Unwrap() Signer
//
// which returns the Signer that it wraps. If several of these Signers implement an interface, only
// the outermost one is called. To extend a method of the Signer that it wraps, it calls that method
// itself.
package transport
