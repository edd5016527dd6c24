package auth

import "net/http"

func unauthorized(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "authentication required", http.StatusUnauthorized)
}

// A deniedWriter keeps a page for people who are not logged in from looking like a success: to a
// program, and to a cache in between, only the status tells the difference. It has no Unwrap, since
// a Flush on the writer behind it would send the status 200.
type deniedWriter struct {
	http.ResponseWriter
	wrote bool
}

func (d *deniedWriter) WriteHeader(status int) {
	// 304 is the success of a page that was sent before.
	if 200 <= status && status < 300 || status == http.StatusNotModified {
		status = http.StatusUnauthorized
	}
	d.wrote = d.wrote || status >= 200
	d.ResponseWriter.WriteHeader(status)
}

func (d *deniedWriter) Write(p []byte) (int, error) {
	d.finish()
	return d.ResponseWriter.Write(p)
}

// finish sends the status if nothing else did.
func (d *deniedWriter) finish() {
	if !d.wrote {
		d.WriteHeader(http.StatusUnauthorized)
	}
}
