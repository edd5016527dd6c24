package mac

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign-go/countersign/internal/view"
)

// The words in Explanation.Causes.
const (
	causePort      = "port"
	causeScheme    = "scheme"
	causeHost      = "host"
	causeForwarded = "forwarded"
	causeDecoded   = "decoded path"
	causeRequoted  = "requoted path"
	causePrefix    = "path prefix"
	causeSlash     = "trailing slash"
	causeOrder     = "query order"
	causeEncoding  = "query encoding"
	causeAdded     = "added query"
	causeTarget    = "target"
	causeMethod    = "method"
	causeKey       = "key"
	causeAlgorithm = "algorithm"
	causeDialect   = "dialect"
	causeClock     = "clock"
	causeExpired   = "expired"
	causeBody      = "body"
	causeUnknownID = "unknown id"
)

const (
	adviseTLS    = "the proxy in front ends TLS; set PublicURL"
	advisePublic = "the proxy in front changes what clients ask for; set PublicURL"
	advisePath   = "the path was changed on its way, or by whoever signed it: pass it on as it came"
	adviseQuery  = "the query was changed after it was signed: pass it on as it came"
	adviseKey    = "one side converts the key: both have to use its text as it is"
)

// axes returns the changes to try, the most frequent distortions first.
func (s *search) axes() []axis {
	return []axis{
		s.origins(), s.forwarded(), s.hosts(), s.ports(), s.dialects(), s.paths(), s.slashes(),
		s.orders(), s.encodings(), s.keys(), s.methods(),
	}
}

// origins removes the scheme and host from a target that is a whole URL. Clients send such targets
// to proxies only.
func (s *search) origins() axis {
	if s.start.Absolute == 0 {
		return nil
	}
	return axis{{finding{causeTarget, "the path alone", "the target came as a whole URL: have it " +
		"sent, or made by a test, as a path"},
		func(t *trial) {
			if t.Path = t.Path[t.Absolute:]; t.Path == "" {
				t.Path = "/"
			}
			t.Absolute = 0
		}}}
}

func at(host, port string) func(*trial) {
	return func(t *trial) {
		t.Bare = false
		if host != "" {
			t.Host, t.spelled = host, false
		}
		if port != "" {
			t.Port = port
		}
	}
}

// forwarded tries the hosts and ports that proxies report in header fields. A client can forge
// these fields, but it decides nothing with them: they are guesses like the others.
func (s *search) forwarded() (a axis) {
	hosts := ends(s.req.Header, "X-Forwarded-Host", "X-Original-Host")
	protos := ends(s.req.Header, "X-Forwarded-Proto", "X-Forwarded-Scheme")
	ports := ends(s.req.Header, "X-Forwarded-Port")
	for _, pair := range forwardedPairs(s.req.Header) {
		switch name, value, _ := strings.Cut(pair, "="); strings.ToLower(name) {
		case "host":
			hosts = append(hosts, strings.Trim(value, `"`))
		case "proto":
			protos = append(protos, strings.Trim(value, `"`))
		}
	}
	for _, proto := range protos {
		if port, err := view.DefaultPort(strings.ToLower(proto)); err == nil {
			ports = append(ports, port)
		}
	}
	ports = slices.DeleteFunc(ports, func(port string) bool { return !view.IsPort(port) })
	add := func(host, port string) {
		advice := advisePublic
		if port == "443" && s.start.Port != port {
			advice = adviseTLS
		}
		shown := fmt.Sprintf("host %.255q", host)
		switch {
		case host == "":
			shown = "port " + port
		case port != "":
			shown += " and port " + port
		}
		a = append(a, change{finding{causeForwarded, shown + " of the forwarded fields", advice},
			at(host, port)})
	}
	for _, authority := range hosts {
		host, own, err := view.SplitHost(authority)
		if err != nil {
			continue
		}
		if own != "" {
			add(host, own)
		}
		add(host, "")
		for _, port := range ports {
			add(host, port)
		}
	}
	for _, port := range ports {
		add("", port)
	}
	return a
}

// ends returns the first and the last value in the lists of these fields. The first comes from the
// proxy nearest to the client, the last from the proxy nearest to the server.
func ends(h http.Header, fields ...string) (values []string) {
	for _, field := range fields {
		lines := h[field]
		if len(lines) == 0 {
			continue
		}
		first, _, _ := strings.Cut(lines[0], ",")
		last := lines[len(lines)-1]
		last = last[strings.LastIndexByte(last, ',')+1:]
		values = append(values, strings.TrimSpace(first))
		if last != first {
			values = append(values, strings.TrimSpace(last))
		}
	}
	return values
}

// forwardedPairs returns the parameters of the first and the last element of Forwarded (RFC 7239,
// section 4).
func forwardedPairs(h http.Header) (pairs []string) {
	for _, element := range ends(h, "Forwarded") {
		for i := 0; i < 8 && element != ""; i++ {
			var pair string
			pair, element, _ = strings.Cut(element, ";")
			pairs = append(pairs, strings.TrimSpace(pair))
		}
	}
	return pairs
}

// hosts tries other names for the host.
func (s *search) hosts() (a axis) {
	t := &s.start
	add := func(host, port, with, advice string) {
		if host != "" && host != t.Host || port != "" && port != t.Port {
			a = append(a, change{finding{causeHost, with, advice}, at(host, port)})
		}
	}
	name := func(authority, advice string) {
		if host, port, err := view.SplitHost(authority); err == nil {
			with := fmt.Sprintf("host %.255q", host)
			if port != "" {
				with += " and port " + port
			}
			add(host, port, with, advice)
		}
	}
	if s.verifier.PublicURL != nil && s.req.RequestURI != "" {
		if own, err := receivedReading(s.req, nil); err == nil {
			add(own.Host, own.Port, fmt.Sprintf("host %.255q and port %s of the request itself",
				own.Host, own.Port), "PublicURL is not what clients ask for: correct it")
		}
	}
	if s.req.URL != nil {
		name(s.req.URL.Host, "the host that was set is not that of the URL: sign the one sent")
	}
	if dotless, ok := strings.CutSuffix(t.Host, "."); ok {
		add(dotless, "", "a host without a dot at its end", advisePublic)
	} else {
		add(t.Host+".", "", "a host with a dot at its end", advisePublic)
	}
	if t.Host != string(appendLower(nil, t.Host)) {
		a = append(a, change{finding{causeHost, "the host in the letters of the request",
			"the sender does not sign it in lower case: it has to"},
			func(t *trial) { t.spelled = true }})
	}
	for _, alias := range []string{"localhost", "127.0.0.1", "[::1]"} {
		add(alias, "", "host "+alias, advisePublic)
	}
	if short, ok := strings.CutPrefix(t.Host, "www."); ok {
		name(short, advisePublic)
	} else {
		name("www."+t.Host, advisePublic)
	}
	add(t.Host+":"+t.Port, "", "the port in the line of the host",
		"the sender signs the Host field whole: it has to cut it at the colon")
	return a
}

// usualPorts are the ports that a Host field may have lost.
var usualPorts = []string{
	"443", "80", "8080", "8443", "8000", "8081", "8008", "8888", "3000", "5000", "9000", "9090",
	"9443", "1337",
}

func (s *search) ports() (a axis) {
	t := &s.start
	ports := usualPorts
	if addr, ok := s.req.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, port, err := net.SplitHostPort(addr.String()); err == nil && view.IsPort(port) {
			ports = append([]string{port}, ports...)
		}
	}
	if s.req.URL != nil && view.IsPort(s.req.URL.Port()) {
		ports = append([]string{s.req.URL.Port()}, ports...)
	}
	for _, port := range ports {
		f := finding{causePort, "port " + port, advisePublic}
		standard := port == "80" || port == "443"
		switch {
		case port == t.Port:
			continue
		case t.Bare && standard:
			f.cause = causeScheme
		case t.Bare:
			f.cause, f.advice = causeHost, "the Host field lost its port on its way; set PublicURL"
		}
		if port == "443" {
			f.advice = adviseTLS
		}
		a = append(a, change{f, at("", port)})
	}
	return a
}

// dialects tries the other dialects. In the Django dialect, the host keeps the case in which it was
// sent.
func (s *search) dialects() (a axis) {
	const advice = "set the same Dialect on both sides, unless the path was quoted anew on its way"
	gap := s.start.gap()
	for _, d := range []Dialect{Draft01, WebOb, Django} {
		if s.start.dialect == d || d == Django && s.h.mac.size != algorithm(SHA1).size() {
			continue
		}
		f := finding{causeDialect, "the dialect " + d.String(), advice}
		if gap != "" && d != Django && s.start.dialect != Django {
			f.advice = fmt.Sprintf("%v and %v differ in %s: %s", s.start.dialect, d, gap, advice)
		}
		a = append(a, change{f, func(t *trial) { t.dialect = d }})
	}
	return a
}

func (s *search) methods() (a axis) {
	for from, to := range map[string]string{"GET": "HEAD", "HEAD": "GET"} {
		if s.start.Method == from {
			a = axis{{finding{causeMethod, "the method " + to,
				"the method was changed after it was signed: pass it on as it came"},
				func(t *trial) { t.Method = to }}}
		}
	}
	return a
}

// keys tries other forms of the key. One side may have decoded it, encoded it, or added blanks or a
// line feed.
func (s *search) keys() (a axis) {
	key := s.start.key
	text := strings.TrimSpace(string(key))
	add := func(with string, other []byte, err error) {
		if err == nil && len(other) > 0 && string(other) != string(key) {
			a = append(a, change{finding{causeKey, with, adviseKey},
				func(t *trial) { t.key = other }})
		}
	}
	for _, e := range []*base64.Encoding{
		base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding,
	} {
		decoded, err := e.DecodeString(text)
		add("the key decoded from base64", decoded, err)
		add("the key encoded in base64", e.AppendEncode(nil, key), nil)
	}
	decoded, err := hex.DecodeString(text)
	add("the key decoded from hexadecimal", decoded, err)
	add("the key encoded in hexadecimal", hex.AppendEncode(nil, key), nil)
	add("the key without the blanks around it", []byte(text), nil)
	add("a line feed at the end of the key", []byte(text+"\n"), nil)
	return a
}
