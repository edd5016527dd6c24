package jwt

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/countersign-go/countersign/internal/jose"
)

// Held returns how many tokens d holds.
func (d *DenyList) Held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.until)
}

// Sweep removes the tokens that have ended, as d does from time to time.
func (d *DenyList) Sweep() { d.SweepAhead(0) }

// SweepAhead does the same while the wall clock is ahead.
func (d *DenyList) SweepAhead(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	now.wall = now.wall.Add(by)
	d.drop(now)
}

// SignedBy returns the signature of text.
func SignedBy(k *Key, text string) ([]byte, error) {
	ready, err := k.prepared()
	if err != nil {
		return nil, err
	}
	return ready.sign(text)
}

// VerifiedBy reports whether signature is valid for text, as a Verifier would.
func VerifiedBy(k *Key, text string, signature []byte) (bool, error) {
	ready, err := k.prepared()
	if err != nil {
		return false, err
	}
	return ready.verify(text, signature), nil
}

// Genuine is [Verifier.Verify] without checks of the claims.
func (v *Verifier) Genuine(ctx context.Context, token string) error {
	t, err := jose.Parse(token)
	if err != nil {
		return refused(err)
	}
	return v.prove(ctx, t)
}

// Rewritten parses a token and writes it again.
func Rewritten(token string) (string, error) {
	t, err := jose.Parse(token)
	if err != nil {
		return "", err
	}
	header, _, _ := strings.Cut(t.Text, ".")
	text := base64.RawURLEncoding.EncodeToString
	data, err := base64.RawURLEncoding.DecodeString(header)
	return text(data) + "." + text(t.Payload) + "." + text(t.Signature), err
}
