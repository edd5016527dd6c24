package jwt_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/countersign-go/countersign/auth"
	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/jwt"
	"github.com/countersign-go/countersign/jwt/pyramid"
)

// mintFile is the part of testdata/jwt.json about making tokens and cookies.
type mintFile struct {
	CreateCases []createCase `json:"create_cases"`
	CookieCases []cookieCase `json:"cookie_cases"`
	ConfigCases []configCase `json:"config_cases"`
}

type createCase struct {
	Name, Want, Token, Level string
	Policy, Args             map[string]any
	Now                      int64
	Header, Claims           map[string]any
}

func readMintVectors(t testing.TB) (*vectorFile, *mintFile) {
	t.Helper()
	data, err := os.ReadFile("testdata/jwt.json")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	file := new(mintFile)
	if err := d.Decode(file); err != nil {
		t.Fatal(err)
	}
	return readVectors(t), file
}

// settingOf maps arguments to settings whose names differ.
var settingOf = map[string]string{
	"https_only": "https_only_cookie", "reissue_time": "cookie_reissue_time",
}

// session returns the Session for the settings of a policy.
func (f *vectorFile) session(
	t *testing.T, policy map[string]any, settings map[string]string,
) *jwt.Session {
	t.Helper()
	s, err := pyramid.FromSettings(f.settings(policy, settings))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// settings converts a policy to settings in a file. Arguments take precedence.
func (f *vectorFile) settings(
	policy map[string]any, settings map[string]string,
) map[string]string {
	all := make(map[string]string)
	maps.Copy(all, settings)
	for name, value := range policy {
		text := fmt.Sprint(value)
		if strings.HasSuffix(name, "_key") {
			text = string(f.key(text))
		}
		all["jwt."+cmp.Or(settingOf[name], name)] = text
	}
	return all
}

// judgeKey returns the key with which the library verifies the tokens of a policy.
func (f *vectorFile) judgeKey(t *testing.T, policy map[string]any, method string) any {
	t.Helper()
	if strings.HasPrefix(method, "HS") {
		return f.key(policy["private_key"].(string))
	}
	file := f.key(policy["public_key"].(string))
	var key any
	var err error
	switch method[:2] {
	case "RS":
		key, err = jwtlib.ParseRSAPublicKeyFromPEM(file)
	case "ES":
		key, err = jwtlib.ParseECPublicKeyFromPEM(file)
	default:
		key, err = jwtlib.ParseEdPublicKeyFromPEM(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// createDecisions has an entry for each case that leaves a choice, and for each case where our
// result differs.
var createDecisions = map[string]string{
	"expiration zero in the call means policy default": "a lifetime of zero is that of the JWT",
}

func TestCreateVectors(t *testing.T) {
	keys, file := readMintVectors(t)
	for _, c := range file.CreateCases {
		t.Run(c.Name, func(t *testing.T) {
			if decided := createDecisions[c.Name] != ""; decided != (c.Level == "choice") {
				t.Error("a choice without a decision, or the other way round")
			}
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(c.Now, 0)))
				token, err := create(t, keys, &c)
				if c.Want == "reject" {
					if err == nil {
						t.Errorf("made %s", token)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				header, claims := opened(t, token)
				if got, want := asJSON(t, claims), asJSON(t, c.Claims); got != want {
					t.Errorf("claims %s, want %s", got, want)
				}
				if got, want := asJSON(t, header), asJSON(t, c.Header); got != want {
					t.Errorf("header %s, want %s", got, want)
				}
				head, _, _ := strings.Cut(c.Token, ".")
				if !strings.HasPrefix(token, head+".") {
					t.Errorf("the header is not written as the peer writes it: %s", token)
				}
				method := header["alg"].(string)
				judge(t, method, token, keys.judgeKey(t, c.Policy, method))
			})
		})
	}
	if len(file.CreateCases) != 18 {
		t.Errorf("%d cases, want 18", len(file.CreateCases))
	}
}

// create makes the token of a case. A value that is not an argument of Token is a claim.
func create(t *testing.T, keys *vectorFile, c *createCase) (string, error) {
	t.Helper()
	s, err := pyramid.FromSettings(keys.settings(c.Policy, nil))
	if err != nil {
		return "", err
	}
	claims := map[string]any{}
	var lifetime time.Duration
	audience := s.Verifier.Audience
	for name, value := range c.Args {
		switch name {
		case "principal":
		case "expiration":
			seconds, err := value.(json.Number).Int64()
			if err != nil {
				t.Fatal(err)
			}
			lifetime = time.Duration(seconds) * time.Second
		case "audience":
			audience = nil
			if list, ok := value.([]any); ok {
				for _, a := range list {
					audience = append(audience, a.(string))
				}
			} else {
				audience = []string{value.(string)}
			}
		default:
			claims[name] = value
		}
	}
	subject, ok := c.Args["principal"].(string)
	if !ok {
		claims["sub"] = c.Args["principal"]
	}
	return s.Signer.Token(subject, claims, lifetime, audience...)
}

type cookieCase struct {
	Name, Action, Level string
	URL                 string `json:"request_url"`
	Token               string `json:"cookie_token"`
	Now                 int64
	Policy, Args        map[string]any
	Settings, Headers   map[string]string
	Want                struct {
		Status  int
		Cookies any `json:"set_cookies"`
		Claims  map[string]any
		User    any `json:"userid"`
	}
}

// cookieDecisions has the result of each case that leaves a choice, and of each case where ours
// differs from the expected one. Two differences occur in all cases, so they have no entry. Unless
// the settings say otherwise, a cookie is for its host only, with SameSite=Lax and the path /. Each
// token that is made, and each that is read and has an iat, has an auth_time.
var cookieDecisions = map[string]struct{ outcome, reason string }{
	"read, bare token as cookie value": {"200 nobody", "it is the encoding of the peer, or ours"},
	"reissue turns a short personal expiry into the policy one": {
		`200 bob; Authorization max-age=3610 path=/ secure httponly lax ` +
			`{"auth_time":1705311000,"exp":1705318211,"iat":1705314601,"sub":"bob"}`,
		"a session keeps the lifetime that the login gave it"},
	"remember for several domains": {"500 nobody",
		"one of the two lies below the other, so browsers would send two cookies there"},
	"reissue sets the policy audience": {
		`200 bob; Authorization max-age=7200 path=/ secure httponly lax ` +
			`{"aud":["example.org","other.example"],"auth_time":1705311000,"exp":1705321800,` +
			`"iat":1705314600,"sub":"bob"}`,
		"the claims are kept, aud among them"},
	"no reissue when identity is not looked at": {
		`200 nobody; Authorization max-age=7200 path=/ secure httponly lax ` +
			`{"auth_time":1705311000,"exp":1705321800,"iat":1705314600,"sub":"bob"}`,
		"a user who only looks at public pages is there all the same"},
	"reissue also on a refused request": {
		`403 bob; Authorization max-age=7200 path=/ secure httponly lax ` +
			`{"auth_time":1705311000,"exp":1705321800,"iat":1705314600,"sub":"bob"}`,
		"whatever the answer is, the user is there"},
	"reissue inside leeway revives an expired token": {
		"200 bob", "the leeway is for clocks that differ, and prolongs nothing"},
}

// wanted returns the expected result of a case in the words of cookieDecisions.
func (c *cookieCase) wanted(t *testing.T) string {
	t.Helper()
	out := []string{fmt.Sprint(c.Want.Status, " ", cmp.Or(fmt.Sprint(c.Want.User), "nobody"))}
	if c.Want.User == nil {
		out[0] = fmt.Sprint(c.Want.Status, " nobody")
	}
	switch cookies := c.Want.Cookies.(type) {
	case []any:
		for _, one := range cookies {
			out = append(out, c.wantedCookie(t, one.(map[string]any)))
		}
	case string:
		login := `path=/ secure httponly lax ` +
			`{"auth_time":1705311000,"exp":1705318200,"iat":1705311000,"sub":"bob"}`
		text, ok := map[string]string{
			"one per domain, same token, claims sub iat exp only": "Authorization " +
				"domain=app.example.org max-age=7200 " + login + "; Authorization " +
				"domain=example.org max-age=7200 " + login,
			"one reissued cookie": "Authorization max-age=7200 path=/ secure httponly lax " +
				`{"auth_time":1705311000,"exp":1705321800,"iat":1705314600,"sub":"bob"}`,
			"one cookie without secure": "Authorization max-age=7200 " +
				strings.Replace(login, "secure ", "", 1),
		}[cookies]
		if !ok {
			t.Fatalf("no translation of %q", cookies)
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func (c *cookieCase) wantedCookie(t *testing.T, cookie map[string]any) string {
	t.Helper()
	has := cookie["attributes"].(map[string]any)
	out := []string{cookie["name"].(string)}
	if age, ok := has["max-age"]; ok {
		out = append(out, fmt.Sprint("max-age=", age))
	}
	path, _ := has["path"].(string)
	out = append(out, "path="+cmp.Or(path, "/"))
	for _, flag := range []string{"secure", "httponly"} {
		if has[flag] == true {
			out = append(out, flag)
		}
	}
	out = append(out, "lax")
	if claims, ok := cookie["token_claims"].(map[string]any); ok {
		claims["auth_time"] = claims["iat"]
		if c.Token != "" && claims["fresh"] == nil {
			_, old := opened(t, c.Token)
			claims["auth_time"] = old["iat"]
		}
		out = append(out, asJSON(t, claims))
	}
	return strings.Join(out, " ")
}

func TestCookieVectors(t *testing.T) {
	keys, file := readMintVectors(t)
	for _, c := range file.CookieCases {
		t.Run(c.Name, func(t *testing.T) {
			want := c.wanted(t)
			decision, ok := cookieDecisions[c.Name]
			switch {
			case ok && c.Level != "choice" && decision.outcome == want:
				t.Error("listed as a difference, and there is none")
			case !ok && c.Level == "choice":
				t.Error("no decision")
			case ok:
				want = decision.outcome
			}
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(c.Now, 0)))
				if got := visited(t, keys, &c); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		})
	}
	for name := range cookieDecisions {
		named := func(c cookieCase) bool { return c.Name == name }
		if !slices.ContainsFunc(file.CookieCases, named) {
			t.Errorf("a decision on %q, which is not there", name)
		}
	}
	if len(file.CookieCases) != 47 {
		t.Errorf("%d cases, want 47", len(file.CookieCases))
	}
}

// visited sends the request of a case and returns its result.
func visited(t *testing.T, keys *vectorFile, c *cookieCase) string {
	t.Helper()
	args := maps.Clone(c.Args)
	s := keys.session(t, c.Policy, c.Settings)
	if domains, ok := args["domains"].([]any); ok {
		for _, d := range domains {
			s.Domains = append(s.Domains, d.(string))
		}
	}
	user := "nobody"
	handler := func(w http.ResponseWriter, req *http.Request) {
		looks := !slices.Contains([]string{"blind", "login", "logout"}, c.Action)
		if id, ok := auth.FromContext(req.Context()); ok && looks {
			user = id.Subject
			wanted := maps.Clone(c.Want.Claims)
			if iat, ok := wanted["iat"]; ok {
				wanted["auth_time"] = iat
			}
			if got, want := asJSON(t, id.Claims), asJSON(t, wanted); got != want && wanted != nil {
				t.Errorf("claims %s, want %s", got, want)
			}
		}
		var err error
		switch c.Action {
		case "login":
			name := args["principal"].(string)
			delete(args, "principal")
			delete(args, "domains")
			err = s.Set(w, name, args)
		case "logout", "me_logout":
			err = s.Clear(w, req)
		case "me_login":
			err = s.Set(w, "bob", map[string]any{"fresh": true})
		case "boom":
			http.Error(w, "no", http.StatusForbidden)
		case "twice":
			if _, err = s.Authenticate(req); err == nil {
				_, err = s.Authenticate(req)
			}
		case "me", "blind":
		default:
			t.Fatalf("action %q", c.Action)
		}
		if err != nil {
			t.Error(err)
		}
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.URL, nil)
	for name, value := range c.Headers {
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.Handler(auth.Optional(http.HandlerFunc(handler), s)).ServeHTTP(w, req)
	out := []string{fmt.Sprint(w.Code, " ", user)}
	for _, line := range w.Header()["Set-Cookie"] {
		out = append(out, cookieText(t, line))
	}
	return strings.Join(out, "; ")
}

// cookieText describes a cookie that holds a token in the encoding of pyramid_jwt, in the words of
// cookieDecisions.
func cookieText(t *testing.T, line string) string {
	t.Helper()
	cookie, err := http.ParseSetCookie(line)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{cookie.Name}
	for _, attribute := range strings.Split(line, "; ")[1:] {
		out = append(out, strings.ToLower(attribute))
	}
	slices.SortFunc(out[1:], func(a, b string) int { return attributeRank(a) - attributeRank(b) })
	text := strings.Replace(strings.Join(out, " "), "samesite=", "", 1)
	if cookie.Value == "" {
		return text
	}
	data, err := base64.URLEncoding.DecodeString(cookie.Value)
	if err != nil {
		t.Fatal(err)
	}
	var token string
	if err := json.Unmarshal(data, &token); err != nil {
		t.Fatal(err)
	}
	judge(t, "HS256", token, []byte(mintSecret))
	_, claims := opened(t, token)
	return text + " " + asJSON(t, claims)
}

func attributeRank(attribute string) int {
	name, _, _ := strings.Cut(attribute, "=")
	ranks := []string{"domain", "max-age", "path", "secure", "httponly", "samesite"}
	return slices.Index(ranks, name)
}

type configCase struct {
	Name, Kind     string
	Args, Resolved map[string]any
	Settings       map[string]string
}

// configDecisions has the settings that we treat differently from pyramid_jwt.
var configDecisions = map[string]string{
	"cookie_path": "/", // pyramid_jwt sets none, and the browser guesses
}

func TestConfigVectors(t *testing.T) {
	_, file := readMintVectors(t)
	differ := 0
	for _, c := range file.ConfigCases {
		t.Run(c.Name, func(t *testing.T) {
			s, err := pyramid.FromSettings(c.Settings)
			if err != nil {
				t.Fatal(err)
			}
			setFields(t, s, c.Args)
			got := resolved(s)
			for name, want := range c.Resolved {
				if name == "max_age" { // the cookie lasts as long as the token
					name, want = "expiration", c.Resolved["expiration"]
				}
				if want == nil && configDecisions[name] != "" {
					want = configDecisions[name]
					differ++
				}
				value, known := got[name]
				if !known || fmt.Sprint(value) != fmt.Sprint(want) {
					t.Errorf("%s is %v, want %v", name, value, want)
				}
			}
		})
	}
	if len(file.ConfigCases) != 13 || differ != 1 {
		t.Errorf("%d cases, want 13; %d differ, want 1", len(file.ConfigCases), differ)
	}
}

// setFields sets the fields for the arguments that pyramid_jwt takes in code.
func setFields(t *testing.T, s *jwt.Session, args map[string]any) {
	t.Helper()
	seconds := func(value any) time.Duration {
		n, err := value.(json.Number).Int64()
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(n) * time.Second
	}
	key := s.Verifier.Keys.(*jwt.Key)
	public, hasPublic := args["public_key"].(string)
	for name, value := range args {
		text, _ := value.(string)
		switch name {
		case "private_key":
			s.Signer.Key = creds.Secret(text)
			key.Key = s.Signer.Key
		case "public_key":
		case "algorithm":
			s.Signer.Method, key.Method = text, text
		case "expiration":
			s.Signer.Lifetime = seconds(value)
			s.Signer.NoExpiry = s.Signer.Lifetime == 0
		case "leeway":
			s.Verifier.Leeway = seconds(value)
		case "audience":
			s.Verifier.Audience = []string{text}
		case "http_header":
			s.Signer.Header, s.Verifier.Header = text, text
		case "auth_type":
			s.Signer.Scheme, s.Verifier.Scheme = text, text
		case "cookie_name":
			s.Name = text
		case "cookie_path":
			s.Path = text
		case "https_only":
			s.Insecure = value == false
		case "reissue_time":
			s.ReissueAfter = seconds(value)
		default:
			t.Fatalf("no translation of %s", name)
		}
	}
	if hasPublic && !strings.HasPrefix(key.Method, "HS") {
		key.Key = creds.Secret(public)
	}
}

// resolved returns the fields under the names of pyramid_jwt.
func resolved(s *jwt.Session) map[string]any {
	text := func(key any) any {
		if secret, ok := key.(creds.Secret); ok {
			return string(secret)
		}
		return nil
	}
	seconds := func(d time.Duration) any {
		if d == 0 {
			return nil
		}
		return int(d / time.Second)
	}
	r := map[string]any{
		"algorithm": s.Signer.Method, "private_key": text(s.Signer.Key),
		"verify_key":  text(s.Verifier.Keys.(*jwt.Key).Key),
		"leeway":      int(s.Verifier.Leeway / time.Second),
		"expiration":  seconds(s.Signer.Lifetime),
		"audience":    nil,
		"http_header": s.Signer.Header, "auth_type": s.Signer.Scheme,
		"cookie_name": s.Name, "cookie_path": s.Path, "https_only": !s.Insecure,
		"reissue_time": seconds(s.ReissueAfter), "http_only": true,
	}
	if len(s.Verifier.Audience) == 1 {
		r["audience"] = s.Verifier.Audience[0]
	}
	if s.Signer.Header != "Authorization" {
		r["auth_type"] = nil // it is not used there
	}
	return r
}
