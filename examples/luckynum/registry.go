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

// openRegistry returns the registry in a folder, or one in memory if folder is "".
func openRegistry(folder string, lifetime time.Duration) (*issue.Registry, error) {
	r := &issue.Registry{Lifetime: lifetime}
	if folder == "" {
		return r, nil
	}
	r.Store = &file.Dir{Path: folder}
	// No user has this name. If looking for it fails, each request would fail too.
	_, err := r.List(context.Background(), "")
	return r, err
}

// A keyEntry describes a key for its user. It does not have the key itself.
type keyEntry struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// addRegistry adds the pages on which users list and revoke their keys. They need the password:
// with a stolen key, an attacker must not be able to revoke the other keys.
func (s *service) addRegistry(mux *http.ServeMux, password auth.Authenticator,
	guesses *auth.Limiter) {
	guard := &auth.Guard{
		Stack:   auth.Stack{password},
		Decided: guesses.Decided,
		Logger:  s.logger,
	}
	// A browser adds a password that it remembers to the requests of any site.
	sameSite := http.NewCrossOriginProtection()
	add := func(pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, sameSite.Handler(guesses.Handler(guard.Handler(h))))
	}
	add("GET /credentials", s.tellKeys)
	add("DELETE /credentials/{id}", s.revokeKey)
}

// tellKeys answers with the keys of the user. Like revokeKey, it runs behind a Guard.
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

// revokeKey revokes one key of the user. For other users' keys, it answers as if they did not
// exist.
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

// failed logs why the registry cannot be used, and tells the user to try again later.
func (s *service) failed(w http.ResponseWriter, req *http.Request, err error) {
	s.log(req, slog.LevelError, "the registry is of no use", "reason", err)
	http.Error(w, "the keys cannot be looked up now", http.StatusServiceUnavailable)
}

func (s *service) log(req *http.Request, level slog.Level, message string, args ...any) {
	if s.logger != nil {
		s.logger.Log(req.Context(), level, message, args...)
	}
}
