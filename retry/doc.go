// Package retry repeats HTTP requests that failed for a reason which may pass. Its [Transport] is
// an [net/http.RoundTripper]. It usually stands around a [transport.Transport], which signs each
// attempt again; countersign.NewClient puts the two together. It can also stand around a Transport
// of net/http.
//
// # Reasons
//
// A request is repeated after status 429, 502, 503 or 504, after a connection that could not be
// made, also by way of a proxy, and after one that ended before the answer began.
// [Transport.Check] can choose other statuses and errors. A refusal of the credentials is not
// repeated: the Transport that signs has done what can be done about it. Nor is an error of its
// Signer.
//
// # Requests
//
// No policy can change which requests are repeated. A request that may have been received is
// repeated only if executing it twice does no harm: its method is GET, HEAD, OPTIONS, TRACE, PUT or
// DELETE, or it has an Idempotency-Key or X-Idempotency-Key that is not empty. If the dial or the
// TLS handshake failed, nothing was sent, and the method does not matter. A body must have GetBody,
// or none of it may have been read; nothing is buffered. Redirects are left to the client.
//
// # Waits
//
// The wait before the next attempt is the one that the answer asks for by Retry-After, if that is
// above zero. Otherwise it is a random time from 0.4 s to 0.8 s, the next one from 0.8 s to 1.6 s,
// and so on in equal steps, up to 30 s; [Transport.WaitMin], [Transport.WaitMax] and
// [Transport.Backoff] change that. The answer is returned at once if Retry-After asks for more than
// WaitMax, or if the wait would not end before the request's context does.
//
// # Outcome
//
// The outcome of the last attempt is returned, and a response remains a response, whatever its
// status. [transport.History] tells of all attempts.
//
// Some ends of a connection cannot be told from other errors, and are not repeated: a proxy that
// refuses CONNECT in other words than the registered reason phrase, and in HTTP/2 a stream that was
// reset for another reason than that the server refused it.
package retry
