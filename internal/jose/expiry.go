package jose

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/countersign-go/countersign/internal/strictjson"
)

// Expiry returns the claim exp of a token without verifying it. Use it only to request another
// token in time. It returns false if there is no valid exp.
func Expiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, false
	}
	claims, err := strictjson.Object(text)
	if err != nil {
		return time.Time{}, false
	}
	number, _ := claims["exp"].(json.Number)
	exp, err := number.Float64()
	if err != nil || exp <= 0 || exp > endOfTime {
		return time.Time{}, false
	}
	return time.Unix(int64(exp), 0), true
}

// endOfTime is the first second of the year 10000, which RFC 3339 cannot represent.
const endOfTime = 253402300800
