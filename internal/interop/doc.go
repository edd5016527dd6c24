// Package interop contains only tests: they run Countersign against widely used implementations in
// other languages, over sockets of this machine. It is a separate module, so that users never build
// it.
//
//   - server_test.go: our client against the real pyramid_macauth, macauthlib and tokenlib
//   - skew_test.go: our client against that server when it has learned a clock skew
//   - soak_test.go: many requests with short-lived keys, to that server and to our issuer
//   - client_test.go: the real client, macauthlib on requests, against our verifier and issuer
//   - cred_test.go: one file of passwords, checked by Twisted's FilePasswordDB and by ours
//   - hash_test.go: hashes made by Apache, OpenSSL and Python packages, checked by ours
//   - raven_test.go: our login service, with the real python-ucam-webauth as the site that asks it
//   - shapes_test.go: the requests that both directions try, under HMAC-SHA-1 and HMAC-SHA-256
//   - pyjwt_test.go: tokens of the real PyJWT for our verifier, and ours for it, by every method
//   - pyramid_jwt_test.go: our client and our tokens at the real pyramid_jwt, and its tokens here
//   - unix_test.go: a user of this machine, checked by the real pwauth and, by the line in the
//     shadow file, by ours
//   - venv_test.go: the virtual environment that the tests make for the Python side; its packages
//     are in testdata/requirements.txt and are run as published
//
// The tests need python3 (3.11 or newer, with its venv module), htpasswd and openssl. The first
// time they also need PyPI, a C compiler, and the headers of Python and OpenSSL (python3-dev and
// libssl-dev on Debian). For unix_test.go they need Debian's packages pwauth, passwd and
// util-linux, and root, or sudo without a password: it makes a user countersign-test, and removes
// it. The tests fail if any of these is missing, instead of skipping the comparison.
//
// COUNTERSIGN_SOAK is how long each run of soak_test.go takes, such as 60s. If unset, 6 s.
package interop
