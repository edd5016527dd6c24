// Package wls is a login service that speaks the Cambridge WAA-WLS protocol, for the tests of sites
// that use package raven, and to try one out. It is not for production: it limits no guessing,
// remembers 10,000 sessions at most and none after it ends, and makes a new key each time unless it
// is given one.
//
// A [Server] is the service. A test tells it in a function what to answer; in a browser it shows a
// page. [Sign] writes a single answer, whatever it says.
package wls
