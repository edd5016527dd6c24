package provision

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"strings"
	"time"

	"github.com/countersign-go/countersign/internal/seconds"
	"github.com/countersign-go/countersign/internal/strictjson"
)

// hint reads from an id when it ends. It does not know the secret, so the result is not certain. It
// reports false for an id of another format.
func hint(id string) (time.Time, bool) {
	raw, err := base64.URLEncoding.Strict().DecodeString(id)
	if err != nil || strings.ContainsAny(id, "\r\n") { // which DecodeString skips
		return time.Time{}, false
	}
	for _, size := range []int{sha256.Size, sha1.Size, sha512.Size} {
		if len(raw) < size {
			continue
		}
		object, err := strictjson.Object(raw[:len(raw)-size])
		if err != nil {
			continue
		}
		t, err := seconds.Time(object["expires"])
		return t, err == nil
	}
	return time.Time{}, false
}
