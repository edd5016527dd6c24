package jwt

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/countersign-go/countersign/internal/jose"
)

// Held is how many tokens d holds.
func (d *DenyList) Held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.until)
}

// Sweep has d forget what has ended, as it does by itself from time to time.
func (d *DenyList) Sweep() { d.SweepAhead(0) }

// SweepAhead does so while the wall clock is ahead.
func (d *DenyList) SweepAhead(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	now.wall = now.wall.Add(by)
	d.drop(now)
}

// SignedBy makes the signature of text, and VerifiedBy checks one.
func SignedBy(k *Key, text string) ([]byte, error) {
	ready, err := k.prepared()
	if err != nil {
		return nil, err
	}
	return ready.sign(text)
}

// VerifiedBy reports whether signature is that of text, as the Verifier does.
func VerifiedBy(k *Key, text string, signature []byte) (bool, error) {
	ready, err := k.prepared()
	if err != nil {
		return false, err
	}
	return ready.verify(text, signature), nil
}

// Genuine is [Verifier.Verify] without a look at what the token says.
func (v *Verifier) Genuine(ctx context.Context, token string) error {
	t, err := jose.Parse(token)
	if err != nil {
		return refused(err)
	}
	return v.prove(ctx, t)
}

// Rewritten reads a token and writes it again.
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
