package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/internal/origin"
	"github.com/countersign-go/countersign/internal/seconds"
	"github.com/countersign-go/countersign/internal/strictjson"
)

const (
	clientRecordVersion = 1
	maxOffsets          = 16                   // origins, in a record
	farthest            = 366 * 24 * time.Hour // the largest offset that a transport.Clock learns
)

// A place is the name of a Client's record in the Store, and its owner.
type place struct {
	name  string
	owner string // a hash of endpoint, account and scheme
}

// placeOf names the record of an account at an endpoint. If no name is chosen, it makes one that
// any Store can take: short, and of lower-case letters, digits, dots and hyphens.
func placeOf(u *url.URL, account, name string) place {
	text := fmt.Sprintf("%s %q %q mac", origin.Of(u).Long(), u.RequestURI(), account)
	sum := sha256.Sum256([]byte(text))
	p := place{name: name, owner: hex.EncodeToString(sum[:16])}
	if p.name != "" {
		return p
	}
	host := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, origin.Of(u).Host)
	p.name = "mac-" + strings.Trim(host[:min(len(host), 64)], ".-") + "-" + p.owner
	return p
}

// A clientRecord is the record that a Client keeps in its Store.
type clientRecord struct {
	owner    string
	grant    *grant
	saved    time.Time                // when grant was stored, by the wall clock of this machine
	lifetime time.Duration            // of grant, counted from saved; 0 if its end is not known
	offsets  map[string]time.Duration // of the clocks when it last worked, by origin
}

// errForeign means that a record was not written by a Client.
var errForeign = errors.New("the record is not one of a provision.Client: " +
	"remove it, or set Client.Name to another name")

// errNewer means that a newer version of this package wrote a record.
var errNewer = errors.New("the record was written by a newer version: update this program")

// clientRecordForm is a record as JSON.
type clientRecordForm struct {
	Version  int              `json:"version"`
	Owner    string           `json:"owner"`
	Saved    json.Number      `json:"saved"`
	Creds    *form            `json:"credentials"`
	Endpoint string           `json:"api_endpoint,omitempty"`
	Offsets  map[string]int64 `json:"offsets_ms,omitempty"`
}

// encode writes r with the key in clear. The Store must protect it.
func (r *clientRecord) encode() ([]byte, error) {
	c := *r.grant.creds
	if r.lifetime > 0 {
		c.Expires = r.saved.Add(r.lifetime) // right even if this machine's clock was set since
	}
	f, err := formOf(&c)
	if err != nil {
		return nil, err
	}
	saved, err := seconds.Number(r.saved)
	if err != nil {
		return nil, fmt.Errorf("the time of this machine is %w", err)
	}
	form := clientRecordForm{clientRecordVersion, r.owner, saved, f, r.grant.endpoint, nil}
	if len(r.offsets) > 0 {
		form.Offsets = make(map[string]int64)
	}
	for at, offset := range r.offsets {
		form.Offsets[at] = offset.Milliseconds()
	}
	data, err := json.Marshal(form)
	if err != nil {
		return nil, err
	}
	if _, err := decodeClientRecord(data); err != nil {
		return nil, errors.New("the record could not be read again") // it would block all updates
	}
	return data, nil
}

// decodeClientRecord reads a record as encode writes it, and refuses any other.
func decodeClientRecord(data []byte) (*clientRecord, error) {
	object, err := strictjson.Object(data)
	if err != nil {
		return nil, errForeign
	}
	version, err := integer(object["version"], 1<<31)
	if err != nil || version < 1 {
		return nil, errForeign
	}
	if version > clientRecordVersion {
		return nil, errNewer
	}
	r := new(clientRecord)
	inner, _ := object["credentials"].(map[string]any)
	if err := only(inner, "id", "key", "algorithm", "expires"); err != nil {
		return nil, err
	}
	err = only(object, "version", "owner", "saved", "credentials", "api_endpoint", "offsets_ms")
	if err != nil {
		return nil, err
	}
	if r.owner, err = textOf(object, "owner"); err != nil {
		return nil, errForeign
	}
	if r.saved, err = seconds.Time(object["saved"]); err != nil {
		return nil, errForeign
	}
	c, err := credentialsOf(inner)
	if err != nil {
		return nil, errForeign
	}
	if r.grant, r.lifetime, err = grantOf(c, r.saved, object["api_endpoint"]); err != nil {
		return nil, err
	}
	r.offsets, err = offsetsOf(object["offsets_ms"])
	return r, err
}

func only(object map[string]any, names ...string) error {
	for name := range object {
		if !slices.Contains(names, name) {
			return errForeign
		}
	}
	return nil
}

// grantOf returns the grant of a record, and its lifetime when it was stored. A grant that had
// ended by then is treated like one that has ended since.
func grantOf(c *creds.SharedKey, saved time.Time, endpoint any) (*grant, time.Duration, error) {
	g := &grant{creds: c, born: saved}
	if endpoint != nil {
		var ok bool
		if g.endpoint, ok = endpoint.(string); !ok || checkEndpoint(g.endpoint) != nil {
			return nil, 0, errForeign
		}
	}
	if c.Expires.IsZero() {
		return g, 0, nil
	}
	lifetime := c.Expires.Sub(saved)
	if lifetime > maxLifetime {
		return nil, 0, errForeign
	}
	return g, lifetime, nil
}

func offsetsOf(v any) (map[string]time.Duration, error) {
	offsets := make(map[string]time.Duration)
	if v == nil {
		return offsets, nil
	}
	object, ok := v.(map[string]any)
	if !ok || len(object) > maxOffsets {
		return nil, errForeign
	}
	for text, v := range object {
		u, err := url.Parse(text)
		if err != nil || origin.Of(u).Long() != text || u.Hostname() == "" {
			return nil, errForeign
		}
		ms, err := integer(v, farthest.Milliseconds())
		if err != nil {
			return nil, err
		}
		offsets[text] = time.Duration(ms) * time.Millisecond
	}
	return offsets, nil
}

// integer reads a whole number from -limit to limit.
func integer(v any, limit int64) (int64, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, errForeign
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || i > limit || i < -limit {
		return 0, errForeign
	}
	return i, nil
}

// current returns the grant of r with its end by the present clock of this machine. If that clock
// shows less than when r was saved, it cannot be known how long it has been wrong. Then the grant
// lasts for its first lifetime at most.
func (r *clientRecord) current(now time.Time) *grant {
	g := &grant{creds: new(creds.SharedKey), endpoint: r.grant.endpoint, born: r.saved}
	*g.creds = *r.grant.creds
	if !g.creds.Expires.IsZero() {
		left := g.creds.Expires.Sub(now.Round(0)) // by the wall clock, like saved
		g.creds.Expires = now.Add(min(left, r.lifetime))
	}
	return g
}

// with returns a copy of r that has offsets, at most maxOffsets of them, and as many of r's own as
// there is room for.
func (r *clientRecord) with(offsets map[string]time.Duration) *clientRecord {
	next := *r
	next.offsets = make(map[string]time.Duration, len(offsets))
	maps.Copy(next.offsets, offsets)
	for at, offset := range r.offsets {
		if _, known := offsets[at]; !known && len(next.offsets) < maxOffsets {
			next.offsets[at] = offset
		}
	}
	return &next
}
