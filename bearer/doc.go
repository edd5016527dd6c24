// Package bearer signs with tokens and verifies them: OAuth 2.0 bearer tokens (RFC 6750), and JSON
// Web Tokens (RFC 7519) that this program makes or checks itself. A token sits in the Authorization
// field, in another field, or in a cookie.
package bearer
