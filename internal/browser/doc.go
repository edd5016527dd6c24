// Package browser contains only tests: a simulated person visits the lucky-number site with a real
// browser, by keyboard. It is a separate module, so that users never build it.
//
//   - story_test.go: the whole story, from the login to the logout, on a phone and on a desktop
//   - faults_test.go: pages with faults, all of which must be found
//   - person_test.go, inspect_test.go, watch_test.go: how the person uses and checks a page
//   - axe_test.go: the rules of axe-core, which pages must meet, too
//
// The tests need Chromium and, the first time, npm and the npm registry. They fail if any of these
// is missing. They save pictures of all pages in the folder screenshots.
package browser
