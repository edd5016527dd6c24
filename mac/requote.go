package mac

import (
	"fmt"
	"slices"
	"strings"
)

// Software that encodes a path or a query again leaves letters and digits unescaped. Each entry
// lists the other characters that one such encoder leaves unescaped.
var (
	pathStyles = []string{
		"-._~!$&'()*+,;=:@", // RFC 3986, section 3.3, and WebOb
		"-._~$&+,=:@",       // Go
		"-._~",              // Python since 3.7, and RFC 3986, section 2.3
		"-._",               // Python before
		"-_.!~*'();:@&=+$,", // JavaScript
		"-_.!~*'()",
		"",
	}
	queryStyles = []string{
		"-_.~",               // Go, Python
		"-_.!~*'()",          // JavaScript
		"-_.*",               // HTML forms, Java
		"-_.~/",              // Python, in urls
		"-._~!$'()*,;:@/?",   // RFC 3986, section 3.4
		"-._~!$'()*,;:@/?[]", // and the characters that browsers leave
	}
)

// quote escapes all bytes of s as %XX, except for letters, digits and the bytes of keep.
func quote(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func unquote(s string) string { return string(appendDecoded(nil, s)) }

// recase applies convert to the digits of each %XX.
func recase(s string, convert func(string) string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' && unhex(b[i+1]) < 16 && unhex(b[i+2]) < 16 {
			copy(b[i+1:], convert(string(b[i+1:i+3])))
			i += 2
		}
	}
	return string(b)
}

// paths tries other encodings of the path, and prefixes that a proxy may have removed.
func (s *search) paths() (a axis) {
	shown := s.start.Path[s.start.Absolute:]
	seen := []string{shown}
	add := func(path string) {
		if path == "" || path[0] != '/' || slices.Contains(seen, path) {
			return
		}
		seen = append(seen, path)
		f := finding{causeRequoted, "the path in another quoting", advisePath}
		if path == unquote(shown) || shown == unquote(path) {
			f.cause, f.with = causeDecoded, "the path decoded"
			if path != unquote(shown) {
				f.with = "the path before it was decoded"
			}
		}
		a = append(a, change{f, func(t *trial) { t.Path = t.Path[:t.Absolute] + path }})
	}
	decoded := unquote(shown)
	add(decoded)
	add(recase(shown, strings.ToUpper))
	add(recase(shown, strings.ToLower))
	parts := strings.Split(shown, "/")
	for _, keep := range pathStyles {
		anew := make([]string, 0, len(parts))
		for _, part := range parts {
			anew = append(anew, quote(unquote(part), keep)) // a quoted slash stays quoted
		}
		add(quote(decoded, keep+"/"))
		add(recase(quote(decoded, keep+"/"), strings.ToLower))
		add(strings.Join(anew, "/"))
	}
	for i, n := 1, 0; i < len(shown) && n < 8; i++ {
		if shown[i] == '/' {
			n++
			add(shown[:i] + "%2F" + shown[i+1:])
			add(shown[:i] + "%2f" + shown[i+1:])
		}
	}
	return append(a, s.prefixes()...)
}

func (s *search) prefixes() (a axis) {
	add := func(prefix, with, advice string) {
		if prefix != s.start.Prefix {
			a = append(a, change{finding{causePrefix, with, advice},
				func(t *trial) { t.Prefix = prefix }})
		}
	}
	add("", "the path without that of PublicURL",
		"PublicURL has a path that clients do not ask for")
	for _, prefix := range ends(s.req.Header, "X-Forwarded-Prefix", "X-Script-Name") {
		if prefix = strings.TrimRight(prefix, "/"); strings.HasPrefix(prefix, "/") {
			add(prefix, "the path behind that of X-Forwarded-Prefix",
				"the proxy in front takes a part of the path away; set PublicURL with it")
		}
	}
	return a
}

func (s *search) slashes() axis {
	f := finding{causeSlash, "a slash at the end of the path", advisePath}
	shown := s.start.Path[s.start.Absolute:]
	if len(shown) < 2 {
		return nil
	}
	if strings.HasSuffix(shown, "/") {
		f.with = "no slash at the end of the path"
	}
	return axis{{f, func(t *trial) {
		if path, cut := strings.CutSuffix(t.Path, "/"); cut {
			t.Path = path
		} else {
			t.Path += "/"
		}
	}}}
}

// maxPermuted is the largest number of parameters that are tried in all orders.
const maxPermuted = 4

// orders tries the parameters of the query in other orders, and fewer of them.
func (s *search) orders() (a axis) {
	t := &s.start
	add := func(f finding, query string, ask bool) {
		if query != t.Query || ask != t.Ask {
			a = append(a, change{f, func(t *trial) { t.Query, t.Ask = query, ask }})
		}
	}
	added := finding{causeAdded, "no query", "a query was added after the request was signed, or " +
		"the sender leaves it out"}
	if t.Ask {
		add(added, "", false)
	}
	if t.Query == "" {
		added.with = "a question mark behind the path"
		add(finding{causeEncoding, added.with, adviseQuery}, "", !t.Ask)
		return a
	}
	pairs := strings.SplitN(t.Query, "&", 64)
	order := func(pairs []string) {
		add(finding{causeOrder, "the parameters in another order", adviseQuery},
			strings.Join(pairs, "&"), true)
	}
	sorted := slices.Sorted(slices.Values(pairs))
	order(sorted)
	byName := slices.Clone(pairs)
	slices.SortStableFunc(byName, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	order(byName)
	reversed := slices.Clone(pairs)
	slices.Reverse(reversed)
	order(reversed)
	if len(pairs) <= maxPermuted {
		permute(slices.Clone(pairs), 0, order)
	}
	for i := range pairs[:min(len(pairs), 8)] {
		fewer := added
		fewer.with = fmt.Sprintf("parameter %d of the query taken away", i+1)
		add(fewer, strings.Join(slices.Delete(slices.Clone(pairs), i, i+1), "&"), len(pairs) > 1)
	}
	return a
}

// permute calls use with each order of pairs[n:].
func permute(pairs []string, n int, use func([]string)) {
	if n >= len(pairs) {
		use(pairs)
		return
	}
	for i := n; i < len(pairs); i++ {
		pairs[n], pairs[i] = pairs[i], pairs[n]
		permute(pairs, n+1, use)
		pairs[n], pairs[i] = pairs[i], pairs[n]
	}
}

// encodings tries other encodings of the parameters, in any order that orders has put them in.
func (s *search) encodings() (a axis) {
	if s.start.Query == "" {
		return nil
	}
	seen := []string{s.start.Query}
	add := func(spell func(string) string) {
		if example := spell(s.start.Query); !slices.Contains(seen, example) {
			seen = append(seen, example)
			a = append(a, change{
				finding{causeEncoding, "the query in another encoding", adviseQuery},
				func(t *trial) { t.Query = spell(t.Query) }})
		}
	}
	replace := func(old, with string) func(string) string {
		return func(query string) string { return strings.ReplaceAll(query, old, with) }
	}
	add(replace("+", "%20"))
	add(replace("%20", "+"))
	add(func(query string) string { return recase(query, strings.ToUpper) })
	add(func(query string) string { return recase(query, strings.ToLower) })
	add(unquote)
	add(func(query string) string { return eachPair(query, withEquals) })
	add(func(query string) string { return eachPair(query, withoutEquals) })
	for _, keep := range queryStyles {
		anew := func(pair string) string {
			name, value, equals := strings.Cut(strings.ReplaceAll(pair, "+", " "), "=")
			if name = quote(unquote(name), keep); equals {
				name += "=" + quote(unquote(value), keep)
			}
			return name
		}
		form := func(pair string) string { return strings.ReplaceAll(anew(pair), "%20", "+") }
		for _, spell := range []func(string) string{anew, form} {
			add(func(query string) string { return eachPair(query, spell) })
			add(func(query string) string {
				return eachPair(query, func(pair string) string { return withEquals(spell(pair)) })
			})
			add(func(query string) string {
				return recase(eachPair(query, spell), strings.ToLower)
			})
		}
	}
	return a
}

func eachPair(query string, spell func(string) string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		pairs[i] = spell(pair)
	}
	return strings.Join(pairs, "&")
}

func withEquals(pair string) string {
	if pair == "" || strings.Contains(pair, "=") {
		return pair
	}
	return pair + "="
}

func withoutEquals(pair string) string { return strings.TrimSuffix(pair, "=") }
