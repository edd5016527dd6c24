// Package countersign provides an HTTP client that signs its requests. It is for programs that call
// services which require authenticated requests: bots, scripts, integration tests.
//
//	client := countersign.NewClient(countersign.Config{
//		Signer: &mac.Signer{Source: &mac.Credentials{ID: id, Key: key}},
//	})
//	resp, err := client.Get("https://api.example.com/")
//
// The client is an ordinary [net/http.Client]. If a server refuses a request because the clock of
// this machine is wrong, because it has seen the nonce before, or because the credentials have
// expired, the client corrects the cause and sends the request again. See package transport for the
// rules; [transport.History] returns the attempts. If a request fails for a reason which may pass,
// such as status 503 or a connection that could not be made, the client repeats it if that is safe.
// See package retry.
//
// Each authentication scheme has a package, with the Signer of a client and the Verifier of a
// server: mac is for MAC Access Authentication (draft-ietf-oauth-v2-http-mac-01), bearer for opaque
// bearer tokens (RFC 6750), jwt for JSON Web Tokens (RFC 7519), basic for Basic authentication (RFC
// 7617). Package provision gets MAC credentials from an endpoint, and package provision/issue
// issues them. Package auth puts verifiers in front of a handler, and package portal checks
// passwords for them.
package countersign
