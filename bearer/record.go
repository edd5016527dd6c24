package bearer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"github.com/countersign-go/countersign/internal/strictjson"
)

const (
	recordPrefix  = "bearer-"
	recordVersion = 1
	recordKind    = "bearer"
)

// A tokenRecord is the record that Tokens keep in their Store.
type tokenRecord struct {
	grant *tokenGrant

	// seed identifies the Tokens.Token that all tokens of the record began with, without revealing
	// it. It is "" without a Tokens.Token.
	seed string
}

func (r *tokenRecord) grantOrNil() *tokenGrant {
	if r == nil {
		return nil
	}
	return r.grant
}

// seedOf returns a name for a token and for the tokens that its refresh token buys. Tokens cannot
// be guessed, so a hash of one reveals nothing.
func seedOf(t *oauth2.Token) string {
	text := t.RefreshToken
	if text == "" {
		text = t.AccessToken
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// sameToken reports whether a fetch can go on equally well with either token.
func sameToken(a, b *oauth2.Token) bool {
	if a.RefreshToken != "" || b.RefreshToken != "" {
		return a.RefreshToken == b.RefreshToken
	}
	return a.AccessToken == b.AccessToken
}

// errForeign means that Tokens did not write the record, and errNewer that a newer version of this
// package wrote it.
var (
	errForeign = errors.New("the record is not one of bearer.Tokens: remove it, or change Name")
	errNewer   = errors.New("the record was written by a newer version: update this program")
)

// tokenRecordForm is a record as JSON. Times are in milliseconds since 1970, by the wall clock.
type tokenRecordForm struct {
	Version      int    `json:"version"`
	Kind         string `json:"kind"`
	Serial       int64  `json:"serial"`
	Seed         string `json:"seed,omitempty"`
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Saved        int64  `json:"saved"`
	Expires      int64  `json:"expires,omitempty"`
}

// encode returns r as JSON, with the tokens in clear. Protecting them is the task of the Store.
func (r *tokenRecord) encode() ([]byte, error) {
	t, now := r.grant.token, time.Now()
	f := tokenRecordForm{
		Version: recordVersion, Kind: recordKind, Serial: r.grant.serial, Seed: r.seed,
		AccessToken: t.AccessToken, TokenType: t.TokenType, RefreshToken: t.RefreshToken,
		Saved: now.UnixMilli(),
	}
	if !t.Expiry.IsZero() {
		// Compute Expires from the time left, in case the clock of this machine was set since.
		f.Expires = max(f.Saved+t.Expiry.Sub(now).Milliseconds(), 1)
	}
	data, err := json.Marshal(f) //nolint:gosec // a Store is where the tokens belong
	if err != nil {
		return nil, err
	}
	if again, err := decodeTokenRecord(data); err != nil || !sameText(again.grant.token, t) {
		return nil, errors.New("the record could not be read again") // and would block its name
	}
	return data, nil
}

func sameText(a, b *oauth2.Token) bool {
	return a.AccessToken == b.AccessToken && a.RefreshToken == b.RefreshToken &&
		a.TokenType == b.TokenType
}

// decodeTokenRecord reads a record in the form that encode writes, and no other. The end of the
// token is by the present clock of this machine. If that clock shows a time before the record was
// saved, it is unknown how long it has been wrong. Then the token lasts at most as long as it did
// when it was saved.
func decodeTokenRecord(data []byte) (*tokenRecord, error) {
	object, err := strictjson.Object(data)
	if err != nil {
		return nil, errForeign
	}
	f := fieldsOf(object)
	version := f.number("version", math.MaxInt64)
	switch {
	case f.text("kind") != recordKind || version < 1:
		return nil, errForeign
	case version > recordVersion:
		return nil, errNewer
	}
	token := &oauth2.Token{
		AccessToken:  f.text("access_token"),
		TokenType:    f.text("token_type"),
		RefreshToken: f.text("refresh_token"),
	}
	saved, expires := f.number("saved", endOfTime*1000), f.number("expires", endOfTime*1000)
	r := &tokenRecord{
		grant: &tokenGrant{
			token: token, serial: f.number("serial", math.MaxInt64), issued: time.UnixMilli(saved),
		},
		seed: f.text("seed"),
	}
	if f.bad || len(f.object) > 0 || r.grant.serial < 1 || saved < 1 || checkToken(token) != nil {
		return nil, errForeign
	}
	if expires > 0 {
		now := time.Now()
		left := min(expires-now.UnixMilli(), expires-saved, longest.Milliseconds())
		token.Expiry = now.Add(time.Duration(left) * time.Millisecond)
	}
	return r, nil
}

// recordFields takes the members out of an object one by one.
type recordFields struct {
	object map[string]any
	bad    bool // a member was of another type
}

func fieldsOf(object map[string]any) *recordFields { return &recordFields{object: object} }

func (f *recordFields) text(name string) string {
	v, found := f.object[name]
	delete(f.object, name)
	text, ok := v.(string)
	f.bad = f.bad || found && !ok
	return text
}

// number reads a whole number below limit. A serial has another limit than times: the largest
// number could never be replaced by a larger one.
func (f *recordFields) number(name string, limit int64) int64 {
	v, found := f.object[name]
	delete(f.object, name)
	n, ok := v.(json.Number)
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if !found {
		return 0
	}
	f.bad = f.bad || !ok || err != nil || i < 0 || i >= limit
	return i
}
