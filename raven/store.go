package raven

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// stateKey is under which a session of Sessions holds the state.
const stateKey = "countersign/raven"

// state is the part of a session that belongs to a Login, as JSON in a string, which every Codec of
// Sessions keeps unchanged. No session is made before the service has said who the user is.
type state struct {
	Spent string `json:"spent,omitempty"` // the token that the login's answer has used up
	Lost  string `json:"lost,omitempty"`  // the request whose body was lost, as nameTarget has it
	Login *login `json:"login,omitempty"`
	// Former is a login that a failed one has ended: the other values are those of its user.
	Former *login `json:"former,omitempty"`
}

// login is what is kept of an answer that was a success. Times are Unix seconds.
type login struct {
	Principal string   `json:"principal"`
	PTags     []string `json:"ptags"`
	Auth      string   `json:"auth,omitempty"`
	SSO       []string `json:"sso,omitempty"`
	Issue     int64    `json:"issue"`
	ID        string   `json:"id"`
	Life      *int64   `json:"life,omitempty"` // seconds; nil: not said
	Last      int64    `json:"last"`
}

// answer names the answer that a login was made by: no other has this time and this id.
func (m *login) answer() answerID { return nameAnswer(m.Issue, m.ID) }

// A visit is a request with its session and its pending login.
type visit struct {
	state

	pending pending
	asked   bool // the request came with a pending login

	ctx   context.Context //nolint:containedctx // it is how Sessions hands out a session
	outer context.Context //nolint:containedctx // without that session, to read it once more
	own   bool            // nobody but the Login saves it
	known bool            // the request came with it
}

// open reads the session of a request, which LoadAndSave may have done already.
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

// load reads the session with a token, unless the context has a session already.
func (l *Login) load(outer context.Context, token string) (*visit, error) {
	sessions := l.set.sessions
	// Load returns the context that it is given if that has a session already. It is one of ours
	// that it is compared with, as somebody else's need not be comparable.
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

// put writes the state into the session. It is not saved by that.
func (l *Login) put(v *visit) error {
	text, err := json.Marshal(v.state)
	if err != nil {
		return unavailable(fmt.Errorf("raven: the session cannot be written: %w", err))
	}
	l.set.sessions.Put(v.ctx, stateKey, string(text))
	return nil
}

// save writes the session and its cookie, if nobody else does.
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

// touch notes that a request was let in, at most once a second. It saves at once where it can, lest
// a request that runs for long overwrite what others do to the session meanwhile. Authorize may
// have run for long, too, so what it saves is the session of now.
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

// renew gives the session another token, so that an attacker who knew the old one, or had planted
// it, is left with nothing. The session ends when it would have ended.
func (l *Login) renew(v *visit) error {
	if !v.known {
		return nil // it gets its first token when it is saved
	}
	end := l.set.sessions.Deadline(v.ctx)
	if err := l.set.sessions.RenewToken(v.ctx); err != nil {
		return unavailable(fmt.Errorf("raven: the session cannot be renewed: %w", err))
	}
	l.set.sessions.SetDeadline(v.ctx, end)
	return nil
}

// end deletes a session, a pending login and their cookies. A request that is running may bring the
// session back when it saves it; the login that it holds stays ended.
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
