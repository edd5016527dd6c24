package browser

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/countersign-go/countersign"
	"github.com/countersign-go/countersign/mac"
	"github.com/countersign-go/countersign/provision"
	"github.com/countersign-go/countersign/transport"
)

const (
	user     = "demo"
	password = "correct horse"
)

// build compiles examples/luckynum.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "luckynum")
	cmd := exec.Command("go", "build", "-o", program, "./examples/luckynum")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

var announced = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// start runs the program until the test ends, and returns the URL that it prints.
func start(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LUCKYNUM_PASSWORD="+password)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("luckynum %s: %v", args[0], err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address := announced.FindString(lines.Text()); address != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return address
		}
	}
	t.Fatalf("luckynum %s does not say where it serves", args[0])
	return ""
}

// TestStory is the whole story of the lucky-number site, by keyboard: a person logs in, sees a
// number, makes a credential for a program and revokes it, and logs out.
func TestStory(t *testing.T) {
	program := build(t)
	key := filepath.Join(t.TempDir(), "wls.pem")
	login := start(t, program, "wls", "--address", "127.0.0.1:0", "--wls-key", key)
	site := start(t, program, "serve", "--address", "127.0.0.1:0", "--registry",
		"--login", "raven", "--wls", login, "--wls-key", key)
	for _, w := range []window{phone, desk} {
		t.Run(w.name, func(t *testing.T) {
			story(t, newPerson(t, "story", w, site, login), site)
		})
	}
}

func story(t *testing.T, p *person, site string) {
	if status := p.open(site + "/"); status != http.StatusUnauthorized {
		t.Fatalf("status %d before the login", status)
	}
	p.sees("Log in to see yours.")
	p.inspect("welcome")
	p.tabTo("link", "Log in")
	p.enter(kb.Enter)
	p.inspect("login")
	p.tabTo("textbox", "User name")
	p.press(user)
	p.tabTo("textbox", "Password")
	p.press("wrong")
	p.enter(kb.Enter)
	p.inspect("wrong")
	p.tabTo("textbox", "Password")
	p.press(password)
	p.enter(kb.Enter)
	p.sees("Hello " + user + "!")
	p.inspect("number")
	number := ask[string](p, `document.getElementById("number").innerText`)

	p.tabTo("button", "Create a credential")
	p.enter(" ")
	p.sees("This page shows the key once.")
	p.inspect("key")
	id := ask[string](p, `document.getElementById("id").innerText`)
	p.tabTo("link", "Save as luckynum.json")
	saved, err := provision.Unmarshal(p.save("luckynum.json"))
	if err != nil || saved.ID != id ||
		string(saved.Key) != ask[string](p, `document.getElementById("key").innerText`) {
		t.Fatalf("the file holds %v, %v", saved, err)
	}
	p.tabTo("link", "Save as main.go")
	if source := string(p.save("main.go")); !strings.HasPrefix(source, "// Number prints") {
		t.Errorf("the program begins with %.40q", source)
	}
	client := countersign.NewClient(countersign.Config{Signer: &mac.Signer{Source: saved}})
	if status, text, _ := get(t, client, site); status != 200 || !strings.Contains(text, number) {
		t.Errorf("the program is told %d, %q, and the person %q", status, text, number)
	}

	p.tabTo("link", "Back to your number")
	p.enter(kb.Enter)
	p.inspect("list")
	p.tabTo("button", "Revoke "+id[:8]+"…")
	p.enter(kb.Enter)
	p.sees("The credential is revoked")
	p.inspect("revoked")
	status, _, history := get(t, client, site)
	if status != http.StatusUnauthorized || len(history) == 0 {
		t.Errorf("after that, the program is told %d, with the history %v", status, history)
	}

	p.tabTo("button", "Log out")
	p.enter(kb.Enter)
	p.sees("Log out here, too?")
	p.inspect("out")
	p.tabTo("button", "Log out here")
	p.enter(kb.Enter)
	p.sees("You have logged out")
	p.inspect("out-there")
	p.tabTo("link", "Back to "+strings.TrimPrefix(site, "http://"))
	p.enter(kb.Enter)
	p.sees("Log in to see yours.")
	if status := p.open(site + "/"); status != http.StatusUnauthorized {
		t.Errorf("status %d after the logout", status)
	}
	if strings.Contains(p.reads(), "Hello") {
		t.Error("there is a number after the logout")
	}
}

func get(t *testing.T, client *http.Client, site string) (int, string, []transport.Attempt) {
	t.Helper()
	resp, err := client.Get(site + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), transport.History(resp)
}
