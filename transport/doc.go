// Package transport is the one place where requests are signed and sent: an [http.RoundTripper]
// that has each attempt signed by a [Signer], whatever the scheme, and that mends a refusal.
//
// # Where credentials go
//
// An origin is a scheme, a host and a port (RFC 9110, section 4.3.1). Of hosts, only the case of
// ASCII letters is ignored; a host that is not ASCII equals itself alone. Requests are signed for
// the origin that the caller addressed, and after redirects only while every hop stayed there: a
// hop elsewhere has chosen the path of all that follow. Origins narrows that further. All other
// requests go out as the caller made them. Over plain http only loopback hosts are signed for, and
// origins that the user listed with "http://". A loopback host does not count if the Proxy of the
// [http.Transport] that sends the request is on another machine; see [Transport].Base.
//
// Where a redirect came from is told by the Response field of a request. If something between the
// [http.Client] and the Transport makes requests of its own, which lack it, set Origins.
//
// # What happens on a refusal
//
// A refusal is status 401, unless Refused says otherwise. One call climbs these rungs, each at most
// once, so it sends at most four requests, or six while it waits for new credentials to be known:
//
//  1. Clock: the server says that the timestamp is stale, or its time is more than 5 s from the one
//     signed with, unless the scheme has another tolerance. The request is signed again by the
//     server's clock, with the same credentials. If that changes nothing, since they do not depend
//     on the time, it is not sent, and the reason given is looked at instead.
//  2. Again: the server says that the nonce was seen before, as happens when net/http repeats a
//     request on a new connection, or it asks for something that the scheme can add, such as a
//     nonce of its own. The request is signed again, with the same credentials.
//  3. Credentials: the Signer replaces those that were refused ([Refresher]), and the request is
//     signed again, still by the server's clock. If they are so new that the server may not know
//     them yet, the Signer waits instead, and this rung may be climbed twice more.
//  4. Otherwise the refusal goes to the caller, as a response. [History] tells what was tried and
//     why it ended.
//
// # Bodies
//
// A request's body is sent again if the request has GetBody, or if no byte of the body was read for
// the refused attempt. To make the second likely, the server is asked first, by an
// "Expect: 100-continue" field, if the body has no GetBody and is longer than 1 MiB, or is of
// unknown length and its first byte was there within 50 ms. A GET, HEAD, DELETE or OPTIONS with a
// body of unknown length is not asked for. A request that has an Expect field already, even an
// empty list, is left to the caller.
//
// To be asked costs a server that answers a round trip, and one that never sends status 100 a
// second: it is not asked again for 10 minutes. Once any final answer has come, the body is sent as
// without the question, so a handler may answer before it reads. Status 417 is not given to the
// caller: the request is sent once more without the field. So it is for status 400, 501 and 505,
// and when the connection ends, if the origin has never answered 100 and no byte of the body was
// read. A body for which there was no question, and of which an attempt had a part, cannot be sent
// again: the refusal then says Stop "body".
//
// Two things are as net/http has them. Its server closes the connection of a request that asked,
// unless the handler reads the whole body. Its client stops sending a body in HTTP/2 when it sees a
// final status of 300 or above: a handler that sends such a status and then reads the body waits
// until the caller closes the answer.
//
// # The clock
//
// A server's time is believed only when it comes with a refusal, over TLS or from a loopback host
// unless the scheme has proven it, within a round trip of 5 s, and within 366 days of this
// machine's clock. It is taken from the challenge, else from X-Timestamp, else from Date. An Age is
// added; one above the tolerance makes the time unknown. If the server did not ask for another
// time, and then says that the new one is stale, the clock goes back and the reason of the first
// refusal counts. An offset of [Clock.Set] that no server has confirmed is left for this machine's
// time, once, if it is refused and the answer tells no time. See [Clock].
//
// # Writing a Signer
//
// A scheme implements [Signer], and as far as it can [Refuser], [Reader], [Refresher] and
// [Observer].
// These faces are found by assertion, also behind a [Choose], a [ByOrigin] and every Signer that
// has a method
//
//	Unwrap() Signer
//
// which returns the Signer that it wraps. The outermost Signer that has a face serves it; one that
// adds to a face of the Signer in it calls that itself.
package transport
