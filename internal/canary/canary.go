// Package canary holds the convention by which tests prove that secrets are never printed.
//
// Every secret that a test plants and that must never be printed contains "canary-" followed by
// lower-case letters or digits. The checks run all tests with -v, keep the output and search it for
// the mark: as text, in hexadecimal, in base64 at each alignment, and as a list of bytes.
//
// A search that finds nothing is only convincing if it can find something. Therefore a test behind
// the build tag "leak" prints a planted secret in each of these forms, and the checks fail unless
// the search finds every one of them.
package canary
