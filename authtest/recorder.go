package authtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"unicode/utf8"
)

// Reasons why a [Recorder] does not answer.
var (
	// ErrNotRecorded means that the File has no answer, or no further answer, to this request.
	ErrNotRecorded = errors.New("authtest: no such request is recorded: record again")

	// ErrSecret means that the record would hold a secret. Nothing was written.
	ErrSecret = errors.New("authtest: not recorded")
)

// maxRecorded is the longest body, in bytes, that is recorded.
const maxRecorded = 1 << 20

// A Recorder is an [http.RoundTripper] that records the answers of a service in a file, and replays
// them without the service. With a Base it records; without one it replays.
//
// Make it the Base of the client, and let requests for credentials bypass it.
//
// It is safe for concurrent use. Do not change the fields after the first request.
type Recorder struct {
	// File is the file of the answers, as JSON. A Recorder with a Base ignores the file's old
	// content and rewrites the file with each request that it records. Of a request, the file holds
	// the method, the URL and a hash of the body. Of an answer, it holds the status, the fields
	// Content-Type, Location, Retry-After and WWW-Authenticate, and the body. Required.
	File string

	// Base sends requests to record. If nil, they are answered from the File, and nothing is sent.
	Base http.RoundTripper

	mu     sync.Mutex // guards all below, and the file
	loaded bool
	all    []recorded
	used   []bool
}

// recorded is a request and its answer. The order of the fields is the order in the file.
type recorded struct {
	Method     string      `json:"method"`
	URL        string      `json:"url"`
	BodySHA256 string      `json:"body_sha256,omitempty"`
	Status     int         `json:"status"`
	Header     http.Header `json:"header,omitempty"`
	Body       string      `json:"body,omitempty"`
	Base64     []byte      `json:"base64,omitempty"` // a body that is not text
}

// Format writes the File and the type of the Base under every verb. The Base may hold secrets.
func (r *Recorder) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{File:%q Base:%T}", r.File, r.Base)
}

// RoundTrip records req and its answer, or replays an answer from the File. The errors wrap
// [ErrSecret] or [ErrNotRecorded], or come from the Base, the file or a body. A body over 1 MiB is
// an error.
//
// A replay finds a request by its method, its URL and its body only, so a signature with another
// timestamp and nonce makes no difference. If several recorded requests are the same, their answers
// are returned in the order in which they were recorded, each once. Replayed answers have no Date,
// and a challenge has its old time, so a client whose requests were refused for their time may
// behave differently than when they were recorded. Record without such refusals.
//
// RoundTrip searches a record for secrets before it writes it. It returns [ErrSecret] for
//
//   - a URL, also in Location, with a user, or with a parameter that is named like a secret (key,
//     access_token, accessToken, password and similar names), in the fragment of a Location too;
//   - an answer in JSON, or a form, with a member of such a name, as in answers of provisioning and
//     login endpoints;
//   - a URL or an answer that repeats the credentials that the request carried in Authorization, in
//     a cookie or in any field that is not known to be harmless, or that a Set-Cookie carried: as
//     they are or in the usual encodings, if they have 8 bytes or more;
//   - an answer with a Content-Encoding, and a Location that cannot be parsed.
//
// It does not recognize other secrets: read the file before you commit it.
func (r *Recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		return nil, errNoURL
	}
	body, err := readBody(req.Body)
	if err != nil {
		return nil, fmt.Errorf("authtest: the body of the request: %w", err)
	}
	e := recorded{Method: req.Method, URL: withoutFragment(req.URL)}
	if e.Method == "" {
		e.Method = http.MethodGet
	}
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		e.BodySHA256 = hex.EncodeToString(sum[:])
	}
	if r.Base == nil {
		return r.replay(req, e)
	}
	if err := secretURL(req.URL); err != nil {
		return nil, err
	}
	sent := req.Clone(req.Context())
	if req.Body != nil && req.Body != http.NoBody {
		sent.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := r.Base.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	return r.record(req, resp, e)
}

func (r *Recorder) record(
	req *http.Request, resp *http.Response, e recorded,
) (*http.Response, error) {
	body, err := readBody(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("authtest: the body of the answer: %w", err)
	}
	e.Status = resp.StatusCode
	for _, name := range []string{"Content-Type", "Location", "Retry-After", "Www-Authenticate"} {
		if values := resp.Header[name]; len(values) > 0 {
			if e.Header == nil {
				e.Header = make(http.Header)
			}
			e.Header[name] = values
		}
	}
	if e.Body = string(body); !utf8.Valid(body) {
		e.Body, e.Base64 = "", body
	}
	if err := secretAnswer(req, resp, &e, body); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
	data, err := json.MarshalIndent(r.all, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("authtest: recording: %w", err)
	}
	if err := replaceFile(r.File, append(data, '\n')); err != nil {
		return nil, fmt.Errorf("authtest: recording: %w", err)
	}
	resp.Body, resp.Request = io.NopCloser(bytes.NewReader(body)), req
	return resp, nil
}

// replaceFile leaves either the old file or the new one, even if it fails.
func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (r *Recorder) replay(req *http.Request, e recorded) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.loaded {
		data, err := os.ReadFile(r.File)
		if err == nil {
			err = json.Unmarshal(data, &r.all)
		}
		if err != nil {
			return nil, fmt.Errorf("authtest: replaying: %w", err)
		}
		r.loaded, r.used = true, make([]bool, len(r.all))
	}
	for i := range r.all {
		x := &r.all[i]
		same := x.Method == e.Method && x.URL == e.URL && x.BodySHA256 == e.BodySHA256
		if same && !r.used[i] {
			r.used[i] = true
			return x.response(req), nil
		}
	}
	return nil, fmt.Errorf("%w (%s %s%s)", ErrNotRecorded, e.Method, req.URL.Host, req.URL.Path)
}

func (e *recorded) response(req *http.Request) *http.Response {
	body := []byte(e.Body)
	if len(e.Base64) > 0 {
		body = e.Base64
	}
	header := e.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)),
		StatusCode: e.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Request: req,
	}
}

// readBody reads and closes a body.
func readBody(body io.ReadCloser) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxRecorded+1))
	if err == nil && len(data) > maxRecorded {
		err = fmt.Errorf("over %d bytes, which is too long to be recorded", maxRecorded)
	}
	return data, err
}

func withoutFragment(u *url.URL) string {
	plain := *u
	plain.Fragment, plain.RawFragment = "", ""
	return plain.String()
}
