package raven

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// stateKey is the key of the state in a session of Sessions.
const stateKey = "countersign/raven"

// state is the part of a session that belongs to a Login. It is stored as JSON in a string, which
// every Codec of Sessions keeps unchanged. A session is created only when the service has named the
// user.
type state struct {
	Spent string `json:"spent,omitempty"` // the token that the login's answer has used up
	Lost  string `json:"lost,omitempty"`  // the request whose body was lost, as nameTarget has it
	Login *login `json:"login,omitempty"`
	// Former is a login that a later, failed one ended: the session's other values belong to its
	// user.
	Former *login `json:"former,omitempty"`
}

// login is the stored part of an answer that was a success. Times are Unix seconds.
type login struct {
	Principal string   `json:"principal"`
	PTags     []string `json:"ptags"`
	Auth      string   `json:"auth,omitempty"`
	SSO       []string `json:"sso,omitempty"`
	Issue     int64    `json:"issue"`
	ID        string   `json:"id"`
	Life      *int64   `json:"life,omitempty"` // seconds; nil if the answer has no life
	Last      int64    `json:"last"`
}

// answer identifies the answer that made the login: no other answer has the same time and id.
func (m *login) answer() answerID { return nameAnswer(m.Issue, m.ID) }

// A visit is the session and the pending login of one request.
type visit struct {
	state

	pending pending
	asked   bool // the request came with a pending login

	ctx   context.Context //nolint:containedctx // Sessions hands out a session in a context
	outer context.Context //nolint:containedctx // without that session, to read it again
	own   bool            // only the Login saves it, not LoadAndSave
	known bool            // the request came with it
}

// open reads the session of a request, unless LoadAndSave has already read it, and its pending
// login.
func (l *Login) open(req *http.Request) (*visit, error) {
	sessions := l.set.sessions
	token := ""
	if cookie, _ := req.Cookie(sessions.Cookie.Name); cookie != nil {
		token = cookie.Value
	}
	v, err := l.load(req.Context(), token)
	if err == nil && v.own && sessions.IdleTimeout > 0 {
		return nil, unavailable(errors.New("raven: Sessions has an IdleTimeout, which " +
			"needs its LoadAndSave in front of everything; InactiveTimeout does not"))
	}
	if err == nil {
		v.pending, v.asked = l.readPending(req, time.Now())
	}
	return v, err
}

// load reads the session with the given token, unless the context already has a session.
func (l *Login) load(outer context.Context, token string) (*visit, error) {
	sessions := l.set.sessions
	// Load returns its argument if that context already has a session. Pass a context made here, so
	// that the two can be compared: a foreign context type may not be comparable.
	type probe struct{}
	probed := context.WithValue(outer, probe{}, nil)
	ctx, err := sessions.Load(probed, token)
	if err != nil {
		return nil, unavailable(fmt.Errorf("raven: the session cannot be read: %w", err))
	}
	v := &visit{ctx: ctx, outer: outer, own: ctx != probed, known: sessions.Token(ctx) != ""}
	if text := sessions.GetString(ctx, stateKey); text != "" {
		if err := json.Unmarshal([]byte(text), &v.state); err != nil {
			return nil, unavailable(fmt.Errorf("raven: the session cannot be read: %w", err))
		}
	}
	return v, nil
}

// put writes the state into the session, without saving the session.
func (l *Login) put(v *visit) error {
	text, err := json.Marshal(v.state)
	if err != nil {
		return unavailable(fmt.Errorf("raven: the session cannot be written: %w", err))
	}
	l.set.sessions.Put(v.ctx, stateKey, string(text))
	return nil
}

// save saves the session and sets its cookie, unless LoadAndSave will do so.
func (l *Login) save(w http.ResponseWriter, v *visit) error {
	if err := l.put(v); err != nil || !v.own {
		return err
	}
	token, expiry, err := l.set.sessions.Commit(v.ctx)
	if err != nil {
		return unavailable(fmt.Errorf("raven: the session cannot be saved: %w", err))
	}
	l.set.sessions.WriteSessionCookie(v.ctx, w, token, expiry)
	return nil
}

// touch records the time of an accepted request, at most once a second. It saves the session
// immediately if it can: a long request that saved it at its end would overwrite the changes of
// other requests. Authorize may also have taken long, so touch reads the session again before it
// saves it.
func (l *Login) touch(v *visit, s *Session, now time.Time) error {
	if v.Login.Last == now.Unix() && !s.BodyLost {
		return nil
	}
	if v.own {
		fresh, err := l.load(v.outer, l.set.sessions.Token(v.ctx))
		switch {
		case err != nil:
			return err
		case fresh.Login == nil || fresh.Login.answer() != v.Login.answer():
			return noLogin("it was ended meanwhile")
		}
		v.ctx, v.state = fresh.ctx, fresh.state
	}
	v.Login.Last = max(v.Login.Last, now.Unix())
	if s.BodyLost {
		v.Lost = ""
	}
	if err := l.put(v); err != nil || !v.own {
		return err
	}
	if _, _, err := l.set.sessions.Commit(v.ctx); err != nil {
		return unavailable(fmt.Errorf("raven: the session cannot be saved: %w", err))
	}
	return nil
}

// renew gives the session a new token, so that the old one is useless to an attacker who knew or
// planted it. The session's deadline stays the same.
func (l *Login) renew(v *visit) error {
	if !v.known {
		return nil // it gets its first token when saved
	}
	end := l.set.sessions.Deadline(v.ctx)
	if err := l.set.sessions.RenewToken(v.ctx); err != nil {
		return unavailable(fmt.Errorf("raven: the session cannot be renewed: %w", err))
	}
	l.set.sessions.SetDeadline(v.ctx, end)
	return nil
}

// end deletes a session, a pending login and their cookies. A request that is still running may
// save the session again, but the login in it stays ended.
func (l *Login) end(w http.ResponseWriter, v *visit) error {
	sessions := l.set.sessions
	if v.Login != nil {
		now := time.Now()
		l.set.ended.add(v.Login.answer(), now, sessions.Deadline(v.ctx))
	}
	if v.asked {
		l.dropPending(w)
	}
	if !v.known {
		return nil
	}
	if err := sessions.Destroy(v.ctx); err != nil {
		return unavailable(fmt.Errorf("raven: the session cannot be ended: %w", err))
	}
	if v.own {
		sessions.WriteSessionCookie(v.ctx, w, "", time.Time{})
	}
	return nil
}
