package raven

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields holds the fields of an answer, still escaped.
type fields struct {
	version                int
	status, msg, issue, id string
	url, principal, ptags  string
	auth, sso, life        string
	params, kid, sig       string
	signed                 string // the signed bytes: everything before !kid!sig
}

func split(answer string) (*fields, error) {
	if len(answer) > maxAnswer {
		return nil, malformed("it has over %d bytes", maxAnswer)
	}
	if !plain(answer) {
		return nil, malformed("it has a control character, or is not UTF-8")
	}
	const noPTags, all = 13, 14
	v := strings.SplitN(answer, "!", all+1)
	version := slices.Index([]string{"1", "2", "3"}, v[0]) + 1
	if version == 0 {
		return nil, malformed("ver is not 1, 2 or 3")
	}
	if version == 3 && len(v) != all || version < 3 && len(v) != noPTags {
		return nil, malformed("version %d with %d fields", version, len(v))
	}
	if version < 3 {
		v = slices.Insert(v, 7, "")
	}
	f := &fields{
		version: version, status: v[1], msg: v[2], issue: v[3], id: v[4], url: v[5],
		principal: v[6], ptags: v[7], auth: v[8], sso: v[9], life: v[10], params: v[11],
		kid: v[12], sig: v[13],
	}
	f.signed = answer[:len(answer)-len("!"+f.kid+"!"+f.sig)]
	return f, nil
}

// verify checks the signature, and that a success has one.
func (f *fields) verify(keys Keys) error {
	if f.kid == "" && f.sig == "" {
		if f.status == "200" {
			return ErrUnsigned
		}
		return nil
	}
	if f.kid == "" || f.sig == "" {
		return malformed("only one of kid and sig is there")
	}
	if !isKeyID(f.kid) {
		return fmt.Errorf("%w: kid is not a number of 1 to 8 digits", ErrUnknownKey)
	}
	key := keys[f.kid]
	if key == nil {
		return fmt.Errorf("%w: kid %s", ErrUnknownKey, f.kid)
	}
	signature, err := legacyBase64.DecodeString(f.sig)
	if err != nil {
		return malformed("sig is not base64 with -._ for +/=")
	}
	if !legacyVerify(key, f.signed, signature) {
		return ErrSignature
	}
	return nil
}

// isKeyID reports whether kid is valid by version 4.1 of the protocol: 1 to 8 digits, the first not
// 0.
func isKeyID(kid string) bool {
	return len(kid) <= 8 && isNumber(kid) && kid != "0"
}

// isNumber reports whether text is a decimal number without sign or leading zeros.
func isNumber(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text == "0" || text != "" && text[0] != '0'
}

// response unescapes and checks the fields, first each by itself and then together.
func (f *fields) response() (*Response, error) {
	r := &Response{Version: f.version, KeyID: f.kid}
	for _, field := range [...]struct {
		name, text string
		into       *string
	}{
		{"msg", f.msg, &r.Msg},
		{"id", f.id, &r.ID},
		{"url", f.url, &r.URL},
		{"principal", f.principal, &r.Principal},
		{"ptags", f.ptags, &f.ptags},
		{"auth", f.auth, &r.Auth},
		{"sso", f.sso, &f.sso},
		{"params", f.params, &r.Params},
	} {
		text, ok := unescape(field.text)
		if !ok {
			return nil, malformed("%s has a percent sign that is not %%25 or %%21", field.name)
		}
		*field.into = text
	}
	if err := f.readStatus(r); err != nil {
		return nil, err
	}
	issue, err := time.Parse(timeLayout, f.issue)
	if err != nil || issue.Format(timeLayout) != f.issue {
		return nil, malformed("issue is not YYYYMMDDThhmmssZ")
	}
	r.Issue = issue
	if r.ID == "" {
		return nil, malformed("id is empty")
	}
	if r.URL == "" {
		return nil, malformed("url is empty")
	}
	if r.Status == StatusSuccess {
		err = f.readSuccess(r)
	} else {
		err = f.checkFailure()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (f *fields) readStatus(r *Response) error {
	if len(f.status) != 3 || !isNumber(f.status) {
		return malformed("status is not a number of three digits")
	}
	number, err := strconv.Atoi(f.status)
	if err != nil {
		return malformed("status is not a number of three digits")
	}
	r.Status = Status(number)
	if r.Status.Description() == "" {
		return malformed("status %d does not exist", number)
	}
	return nil
}

func (f *fields) readSuccess(r *Response) error {
	if r.Principal == "" {
		return malformed("it is a success, and principal is empty")
	}
	if f.auth == "" && f.sso == "" {
		return malformed("it is a success, and auth and sso are empty")
	}
	var ok bool
	if r.PTags, ok = list(f.ptags); !ok {
		return malformed("ptags has an empty member")
	}
	if r.SSO, ok = list(f.sso); !ok {
		return malformed("sso has an empty member")
	}
	if f.life == "" {
		return nil
	}
	// Nine digits are 31 years, and no overflow.
	seconds, err := strconv.Atoi(f.life)
	if err != nil || len(f.life) > 9 || !isNumber(f.life) {
		return malformed("life is not a number of seconds")
	}
	r.Life, r.HasLife = time.Duration(seconds)*time.Second, true
	return nil
}

func (f *fields) checkFailure() error {
	for _, field := range [...][2]string{
		{"principal", f.principal}, {"ptags", f.ptags}, {"auth", f.auth}, {"sso", f.sso},
		{"life", f.life},
	} {
		if field[1] != "" {
			return malformed("it is no success, and %s is not empty", field[0])
		}
	}
	return nil
}

// list splits a comma-separated list, and reports false if a member is empty. The protocol has no
// escape for a comma inside a member.
func list(text string) ([]string, bool) {
	if text == "" {
		return nil, true
	}
	members := strings.Split(text, ",")
	return members, !slices.Contains(members, "")
}

// unescape replaces %25 with a percent sign and %21 with an exclamation mark. It refuses all other
// percent signs, so that a value has only one encoding.
func unescape(text string) (string, bool) {
	if !strings.Contains(text, "%") {
		return text, true
	}
	var out strings.Builder
	out.Grow(len(text))
	for {
		before, after, found := strings.Cut(text, "%")
		out.WriteString(before)
		switch {
		case !found:
			return out.String(), true
		case strings.HasPrefix(after, "25"):
			out.WriteByte('%')
		case strings.HasPrefix(after, "21"):
			out.WriteByte('!')
		default:
			return "", false
		}
		text = after[len("25"):]
	}
}
