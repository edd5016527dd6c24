// Package issue is the endpoint that hands out MAC credentials: a [Handler] that gives them to
// clients which log in by another scheme, an [Issuer] that needs no database since its ids carry
// their subject, and a [Registry] whose credentials can be listed and revoked. The client of such
// an endpoint is a provision.Client.
package issue

// maxText is the longest id and the longest key, in bytes: both must fit into header fields.
const maxText = 4096
