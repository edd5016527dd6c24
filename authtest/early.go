package authtest

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// answersEarly reports whether req is answered early; see [Trouble.EarlyAnswer].
func (v *visit) answersEarly(req *http.Request) bool {
	t := &v.trouble
	return t.EarlyAnswer && t.Status == 0 && t.Drip == 0 && !v.calls &&
		req.Method != http.MethodHead
}

// early serves req. It returns as soon as the head of the answer is complete; the handler writes
// the rest in its own goroutine.
func (v *visit) early(req *http.Request, body *counter) (*http.Response, error) {
	if err := v.reach(req); err != nil {
		_ = body.Close()
		v.leave()
		return nil, err
	}
	r, w := io.Pipe()
	sent := make(chan struct{})
	answer := &stream{visit: v, body: w, header: make(http.Header),
		head: make(chan *http.Response, 1), sent: sent, resp: &http.Response{
			ProtoMajor: 1, ProtoMinor: 1, Proto: "HTTP/1.1", ContentLength: -1,
			Body: &streamBody{r, body, sync.OnceFunc(func() { close(sent) })},
		}}
	go func() {
		v.rewrite(req)
		v.serve(answer, req)
		answer.WriteHeader(http.StatusOK)
		_ = body.Close()
		v.entry.Body, v.entry.Status = body.n.Load(), answer.resp.StatusCode
		v.leave()
		if v.trouble.LoseAnswer {
			_ = w.CloseWithError(errClosed)
		}
		_ = w.Close()
	}()
	return <-answer.head, nil
}

// A stream is the http.ResponseWriter of an answer that its client may read while the handler runs.
type stream struct {
	*visit

	body   *io.PipeWriter
	header http.Header
	once   sync.Once
	head   chan *http.Response // receives resp when its head is complete
	resp   *http.Response
	sent   <-chan struct{} // closed when the client has the head
}

func (s *stream) Header() http.Header { return s.header }

func (s *stream) WriteHeader(status int) {
	s.once.Do(func() {
		s.resp.StatusCode = status
		s.resp.Status = strconv.Itoa(status) + " " + http.StatusText(status)
		s.resp.Header = s.header.Clone()
		s.stamp(s.resp.Header)
		s.head <- s.resp
		<-s.sent
	})
}

func (s *stream) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	return s.body.Write(p)
}

// Flush only completes the head, since a pipe does not buffer.
func (s *stream) Flush() { s.WriteHeader(http.StatusOK) }

// A streamBody is the body of an early answer. Its Close also closes the body of the request that
// the handler reads, as a closed connection does.
type streamBody struct {
	*io.PipeReader

	request io.Closer
	start   func() // lets the handler continue
}

func (b *streamBody) Close() error {
	b.start()
	_ = b.request.Close()
	return b.PipeReader.Close()
}

// answerFirst completes the head of the answer before next reads the request.
func answerFirst(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusOK)
		next.ServeHTTP(w, req)
	})
}
