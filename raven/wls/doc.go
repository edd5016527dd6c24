// Package wls is a login service that speaks the Cambridge WAA-WLS protocol, for testing and trying
// out sites that use package raven. Do not use it in production: it does not limit password
// guesses, it keeps at most 10,000 sessions and loses them when it ends, and it makes a new key at
// each start unless a key is set.
//
// A [Server] is the service. A test sets its answers in a function; in a browser, it shows a login
// page. [Sign] writes a single answer, including one that the protocol forbids.
package wls
