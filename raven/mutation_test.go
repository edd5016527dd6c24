package raven_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"flag"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-go/countersign/raven"
)

var mutations = flag.Int("mutations", 20000, "how many changed answers TestMutated reads")

// TestMutated changes answers that parse, and checks that the changed answers do not. Seeds are the
// signed answers of the vectors, signed again by the smaller key, which is faster. Each worker has
// its own generator with a fixed seed.
func TestMutated(t *testing.T) {
	v := loadVectors(t)
	o := newOracle(t, v)
	demo := raven.Demo()
	m := &mutator{stranger: v.private(t, "")}
	for _, c := range v.ResponseCases {
		if r, err := o.service.Parse(c.Raw); err == nil && r.KeyID != "" {
			m.seeds = append(m.seeds, signText(t, m.text(c.Raw), o.private["2"]))
		} else if r, err := demo.Parse(c.Raw); err == nil && r.KeyID != "" {
			m.seeds = append(m.seeds, signText(t, m.text(c.Raw), o.private["2"]))
		}
	}
	if len(m.seeds) < 20 {
		t.Fatalf("%d seeds", len(m.seeds))
	}
	m.prepare(t)

	const workers = 4
	var sites [workers]*browser
	for i := range sites {
		service := *o.service
		service.LoginURL = serviceURL
		sites[i] = newBrowser(t, &raven.Login{Service: &service, BaseURL: site,
			Logger: slog.New(slog.DiscardHandler)})
	}
	var group sync.WaitGroup
	var read, behind [workers]int
	for worker := range workers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for read[worker] < *mutations/workers {
				seed, changed := m.mutate(random)
				if slices.Contains(m.seeds, changed) {
					continue // changed back, or into another seed
				}
				read[worker]++
				r, err := o.service.Parse(changed)
				if err == nil {
					t.Errorf("accepted as %+v:\n%q\nfrom %q", r, changed, seed)
				} else if strings.Contains(err.Error(), "wrong signature") {
					behind[worker]++
				}
				if read[worker]%100 == 1 {
					m.send(sites[worker], changed)
				}
			}
		})
	}
	group.Wait()
	sum := func(n [workers]int) (all int) {
		for _, some := range n {
			all += some
		}
		return all
	}
	if sum(behind) < *mutations/3 {
		t.Errorf("read %d, of which %d had the shape of an answer", sum(read), sum(behind))
	}
	if t.Failed() {
		return
	}
	t.Logf("%d changed answers read, %d of them in the right shape; none accepted",
		sum(read), sum(behind))
}

type mutator struct {
	seeds    []string
	stranger *rsa.PrivateKey
	forged   []string // the seeds, signed by an unlisted key
}

func (m *mutator) prepare(t *testing.T) {
	for _, seed := range m.seeds {
		m.forged = append(m.forged, signText(t, m.text(seed), m.stranger))
	}
}

// send sends a changed answer to the page of the original answer, with the token of that answer.
func (m *mutator) send(b *browser, changed string) {
	b.begin("dG9rZW4tdG9rZW4tdG9rZW4x")
	b.get(secret + "?WLS-Response=" + url.QueryEscape(changed))
	if b.code != http.StatusBadRequest || b.viewed > 0 || b.stored().Login != nil {
		b.t.Errorf("%d for %q", b.code, changed)
	}
}

// text returns an answer without kid and sig.
func (m *mutator) text(answer string) string {
	fields := strings.Split(answer, "!")
	return strings.Join(fields[:len(fields)-2], "!")
}

// texts are the values that a field may be changed into.
var texts = []string{
	"", "0", "1", "2", "3", "200", "410", "570", "901", "root1", "pwd", "current,staff", "99999999",
	"20240115T093001Z", "https://evil.example/", "%21", "%25", "%", "%2521", "\x00", "\n", "é", "=",
	"_",
}

func (m *mutator) mutate(random *rand.Rand) (seed, changed string) {
	i := random.IntN(len(m.seeds))
	seed = m.seeds[i]
	fields := strings.Split(seed, "!")
	n := random.IntN(len(fields))
	at := random.IntN(len(seed))
	switch random.IntN(10) {
	case 0: // another text in a field
		fields[n] = texts[random.IntN(len(texts))]
	case 1: // one more character in a field
		cut := random.IntN(len(fields[n]) + 1)
		fields[n] = fields[n][:cut] + texts[random.IntN(len(texts))] + fields[n][cut:]
	case 2: // one character less in a field
		if fields[n] != "" {
			cut := random.IntN(len(fields[n]))
			fields[n] = fields[n][:cut] + fields[n][cut+1:]
		}
	case 3: // the field of another answer
		other := strings.Split(m.seeds[random.IntN(len(m.seeds))], "!")
		fields[n] = other[min(n, len(other)-1)]
	case 4: // another version, with the fields that it has
		fields = otherVersion(fields)
	case 5: // the signature of another answer, or by an unlisted key
		from := append(slices.Clone(m.forged), m.seeds...)
		other := from[random.IntN(len(from))]
		fields[len(fields)-1] = other[strings.LastIndexByte(other, '!')+1:]
	case 6: // all signed by an unlisted key, with a field changed
		fields = strings.Split(m.forged[i], "!")
		fields[n] = texts[random.IntN(len(texts))]
	case 7: // two fields swapped
		other := random.IntN(len(fields))
		fields[n], fields[other] = fields[other], fields[n]
	case 8: // any bit
		return seed, seed[:at] + string([]byte{seed[at] ^ 1<<random.IntN(8)}) + seed[at+1:]
	case 9: // any piece doubled or deleted
		to := at + random.IntN(min(20, len(seed)-at)+1)
		return seed, seed[:at] + strings.Repeat(seed[at:to], 2*random.IntN(2)) + seed[to:]
	}
	return seed, strings.Join(fields, "!")
}

func otherVersion(fields []string) []string {
	const ptags = 7
	switch fields[0] {
	case "3":
		fields[0] = "2"
		return slices.Delete(fields, ptags, ptags+1)
	case "2":
		fields[0] = "1"
		return fields
	default:
		fields[0] = "3"
		return slices.Insert(fields, ptags, "current")
	}
}

// signText signs any text as kid 2, even if it is not an answer.
func signText(t testing.TB, text string, key *rsa.PrivateKey) string {
	t.Helper()
	digest := sha1.Sum([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA1, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString(signature)
	encoded = strings.NewReplacer("+", "-", "/", ".", "=", "_").Replace(encoded)
	return text + "!2!" + encoded
}
