// Package retry repeats HTTP requests that failed for a reason which may pass. Its [Transport] is
// an [net/http.RoundTripper]. Its Base is usually a [transport.Transport], which signs each attempt
// again; countersign.NewClient combines the two. Its Base can also be a Transport of net/http.
//
// # Reasons
//
// A request is repeated after status 429, 502, 503 or 504, if a connection could not be made, also
// by way of a proxy, or if the connection ended before the answer began. [Transport.Check] can
// choose other statuses and errors. A request is not repeated after a refusal of its credentials,
// since the Transport that signs has already tried to correct that. Nor is it repeated after an
// error of the Signer.
//
// # Requests
//
// No policy can change which requests are repeated. A request that may have been received is
// repeated only if executing it twice does no harm: its method is GET, HEAD, OPTIONS, TRACE, PUT or
// DELETE, or it has a nonempty Idempotency-Key or X-Idempotency-Key field. If the dial or the TLS
// handshake failed, nothing was sent, and the method does not matter. If the request has a body, it
// must also have GetBody, or no byte of the body may have been read; the Transport does not buffer
// bodies. Redirects are left to the client.
//
// # Waits
//
// If the answer has a Retry-After field above zero, the Transport waits for that time before the
// next attempt. Otherwise it waits a random time from 0.4 s to 0.8 s, then from 0.8 s to 1.6 s, and
// so on in equal steps, up to 30 s; [Transport.WaitMin], [Transport.WaitMax] and
// [Transport.Backoff] change that. The answer is returned at once if Retry-After asks for more than
// WaitMax, or if the wait would not end before the request's context does.
//
// # Outcome
//
// The Transport returns the response or error of the last attempt. A response is never turned into
// an error because of its status. [transport.History] returns all attempts.
//
// Some lost connections cannot be told from other errors, and the request is not repeated: if a
// proxy refuses CONNECT with another reason phrase than the registered one, or if an HTTP/2 stream
// was reset with another code than REFUSED_STREAM.
package retry
