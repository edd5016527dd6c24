// Package countersign is an HTTP client that signs its requests. It is for programs that talk to
// services whose requests must be authenticated: bots, scripts, integration tests.
//
//	client := countersign.NewClient(countersign.Config{
//		Signer: &mac.Signer{Source: &mac.Credentials{ID: id, Key: key}},
//	})
//	resp, err := client.Get("https://api.example.com/")
//
// The client is an ordinary [net/http.Client]. A request that is refused because the clock of this
// machine is wrong, because its nonce was seen before, or because its credentials have ended, is
// mended and sent again; see package transport for the rules, and [transport.History] for what was
// done. One that fails for a reason which may pass, such as status 503 or a connection that could
// not be made, is repeated if that is safe; see package retry.
//
// A scheme is a package that holds both directions, the signer of a client and the verifier of a
// server: mac is MAC Access Authentication (draft-ietf-oauth-v2-http-mac-01), bearer is opaque
// bearer tokens (RFC 6750), jwt is JSON Web Tokens (RFC 7519), basic is RFC 7617. Package provision
// gets MAC credentials from an endpoint and hands them out. Package auth puts verifiers in front of
// a handler, and package portal checks passwords for them.
package countersign
