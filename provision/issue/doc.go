// Package issue is the endpoint that issues MAC credentials. A [Handler] gives them to clients that
// log in by another scheme. An [Issuer] makes credentials that need no database, since their ids
// contain their subject. A [Registry] makes credentials that can be listed and revoked. The client
// of such an endpoint is a provision.Client.
package issue

// maxText is the limit for an id and for a key, in bytes: both must fit into header fields.
const maxText = 4096
