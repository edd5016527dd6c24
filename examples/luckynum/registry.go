package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds/file"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision/issue"
)

// openRegistry returns the registry in a folder, or in memory if that is "".
func openRegistry(folder string, lifetime time.Duration) (*issue.Registry, error) {
	r := &issue.Registry{Lifetime: lifetime}
	if folder == "" {
		return r, nil
	}
	r.Store = &file.Dir{Path: folder}
	// Nobody has this name. If looking for it fails, so would each request.
	_, err := r.List(context.Background(), "")
	return r, err
}

// A keyEntry is what users see of a key. There is no member for the key itself.
type keyEntry struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// addRegistry adds the pages on which users, for their password, see which keys they have, and
// revoke them. A key does not do for that: who has stolen one must not be able to revoke the
// others.
func (s *service) addRegistry(mux *http.ServeMux, password auth.Authenticator,
	guesses *auth.Limiter) {
	guard := &auth.Guard{
		Stack:   auth.Stack{password},
		Decided: guesses.Decided,
		Logger:  s.logger,
	}
	// A browser adds a password that it remembers to what any site has it send.
	sameSite := http.NewCrossOriginProtection()
	add := func(pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, sameSite.Handler(guesses.Handler(guard.Handler(h))))
	}
	add("GET /credentials", s.tellKeys)
	add("DELETE /credentials/{id}", s.revokeKey)
}

// tellKeys runs behind a Guard, as revokeKey does.
func (s *service) tellKeys(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	entries, err := s.registry.List(req.Context(), id.Subject)
	if err != nil {
		s.failed(w, req, err)
		return
	}
	keys := make([]keyEntry, len(entries))
	for i, e := range entries {
		keys[i] = keyEntry{e.ID, e.Created, e.Expires}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(keys)
}

// revokeKey revokes one key of who asks. To others it looks as if there were no such key.
func (s *service) revokeKey(w http.ResponseWriter, req *http.Request) {
	id, _ := auth.FromContext(req.Context())
	err := s.revoke(req, id.Subject, req.PathValue("id"))
	switch {
	case errors.Is(err, mac.ErrUnknownID):
		http.Error(w, "you have no such credential", http.StatusNotFound)
	case err != nil:
		s.failed(w, req, err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// revoke revokes a key if it is the subject's.
func (s *service) revoke(req *http.Request, subject, key string) error {
	ctx := req.Context()
	entries, err := s.registry.List(ctx, subject)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(entries, func(e issue.Entry) bool { return e.ID == key }) {
		return mac.ErrUnknownID
	}
	if err := s.registry.Revoke(ctx, key); err != nil {
		return err
	}
	s.log(req, slog.LevelInfo, "a key is revoked", "subject", subject, "id", key)
	return nil
}

// failed tells the logger why the registry is of no use, and the user that it is.
func (s *service) failed(w http.ResponseWriter, req *http.Request, err error) {
	s.log(req, slog.LevelError, "the registry is of no use", "reason", err)
	http.Error(w, "the keys cannot be looked up now", http.StatusServiceUnavailable)
}

func (s *service) log(req *http.Request, level slog.Level, message string, args ...any) {
	if s.logger != nil {
		s.logger.Log(req.Context(), level, message, args...)
	}
}
