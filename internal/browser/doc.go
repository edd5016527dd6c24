// Package browser holds tests only: a person at the lucky-number site, with a real browser and its
// keyboard. It is a module of its own, so that no user ever builds it.
//
//   - story_test.go: the whole story, from the login to the logout, on a phone and at a desk
//   - faults_test.go: what would be found on a page that is not as it should be
//   - person_test.go, inspect_test.go, watch_test.go: how the person uses and judges a page
//   - axe_test.go: the rules of axe-core, by which pages are judged too
//
// The tests need Chromium and, the first time, npm and the npm registry; they fail where these are
// missing. They leave pictures of all pages in the folder screenshots.
package browser
