package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const (
	patience    = 20 * time.Second // for one step
	screenshots = "screenshots"
)

//go:embed testdata/checks.js
var checksSource string

// A person uses a browser by its keyboard and its address bar, which is not a part of a page. The
// methods never move a mouse, run a click or set the focus.
type person struct {
	t      *testing.T
	tab    context.Context
	window window
	axe    string
	watch  *watch

	story string // names the screenshots
	shots int
}

// newPerson starts a browser that may send requests only to the origins.
func newPerson(t *testing.T, story string, w window, origins ...string) *person {
	t.Helper()
	axe := axeSource(t)
	p := &person{t: t, tab: startBrowser(t), window: w, axe: axe, story: story}
	p.watch = newWatch(t, p.tab, origins)
	p.resize(w.width)
	p.scheme("light")
	return p
}

// try does one thing to the tab of p, within patience.
func try[T any](p *person, what string, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, a)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return result
}

// ask returns the value of an expression in the page.
func ask[T any](p *person, expression string) T {
	p.t.Helper()
	return try(p, expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// arrive does an action that leads to another page, waits for the page, and returns its status.
func (p *person) arrive(what string, a chromedp.Action[chromedp.Void]) int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.tab, patience)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, a)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	if resp == nil {
		return 0
	}
	return int(resp.Status)
}

// open types a URL into the address bar.
func (p *person) open(address string) int {
	p.t.Helper()
	return p.arrive("opening "+address, chromedp.Navigate(address))
}

// press presses keys, one after the other.
func (p *person) press(keys string, held ...chromedp.Modifier) {
	p.t.Helper()
	try(p, fmt.Sprintf("pressing %q", keys),
		chromedp.KeyEvent(keys, chromedp.KeyModifiers(held...)))
}

// enter presses a key on a link or button that leads to another page, and returns its status.
func (p *person) enter(key string) int {
	p.t.Helper()
	return p.arrive(fmt.Sprintf("pressing %q on %s", key, p.focused()), chromedp.KeyEvent(key))
}

// tabTo presses Tab until the focus is on the element of that role and name.
func (p *person) tabTo(role, name string, held ...chromedp.Modifier) {
	p.t.Helper()
	want := role + " " + name
	var met []string
	for range 100 {
		p.press(kb.Tab, held...)
		at := p.focused()
		if at == want {
			return
		}
		met = append(met, at)
		if len(met) > 1 && at == met[0] {
			break
		}
	}
	p.t.Fatalf("Tab does not reach %q on the page %q; it stops at %q", want, p.title(), met)
}

// save presses Enter on a link to a file, and returns the file that the browser saves.
func (p *person) save(name string) []byte {
	p.t.Helper()
	folder := p.t.TempDir()
	allow := func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior,
			browser.SetDownloadBehaviorParams{
				Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder,
			})
		return chromedp.Void{}, err
	}
	try(p, "allowing downloads", allow)
	p.press(kb.Enter)
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		// The name appears when the file is complete.
		if text, err := os.ReadFile(filepath.Join(folder, name)); err == nil && len(text) > 0 {
			return text
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.t.Fatalf("no file %s was saved", name)
	return nil
}

// focused returns the role and the name of the element with the focus, as a screen reader says
// them.
func (p *person) focused() string {
	p.t.Helper()
	read := func(ctx context.Context, _ *chromedp.Target) (string, error) {
		active, err := chromedp.Call(ctx, runtime.Evaluate,
			runtime.EvaluateParams{Expression: "document.activeElement"})
		if err != nil {
			return "", err
		}
		alone := false
		tree, err := chromedp.Call(ctx, accessibility.GetPartialAXTree,
			accessibility.GetPartialAXTreeParams{
				ObjectID: active.Result.ObjectID, FetchRelatives: &alone,
			})
		if err != nil || len(tree.Nodes) == 0 {
			return "", err
		}
		return strings.TrimSpace(text(tree.Nodes[0].Role) + " " + text(tree.Nodes[0].Name)), nil
	}
	return try(p, "reading the focus", read)
}

func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	if json.Unmarshal(v.Value, &s) != nil {
		return string(v.Value)
	}
	return strings.TrimSpace(s)
}

func (p *person) title() string {
	p.t.Helper()
	return ask[string](p, "document.title")
}

// reads returns the text that can be seen.
func (p *person) reads() string {
	p.t.Helper()
	return ask[string](p, "document.body.innerText")
}

// sees fails the test unless the page has the text.
func (p *person) sees(text string) {
	p.t.Helper()
	if page := p.reads(); !strings.Contains(page, text) {
		p.t.Fatalf("%q is not on the page:\n%s", text, page)
	}
}

func (p *person) resize(width int64) {
	p.t.Helper()
	var options []chromedp.EmulateViewportOption
	if p.window.mobile {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulatePortrait)
	}
	try(p, "resizing", chromedp.EmulateViewport(width, p.window.height, options...))
}

// scheme sets whether the person prefers light or dark pages.
func (p *person) scheme(name string) {
	p.t.Helper()
	set := func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: name},
				{Name: "prefers-reduced-motion", Value: "reduce"},
			},
		})
		return chromedp.Void{}, err
	}
	try(p, "setting the color scheme", set)
}

// photograph saves a picture of the whole page, for people to look at.
func (p *person) photograph(step, scheme string) {
	p.t.Helper()
	picture := try(p, "taking a screenshot", chromedp.FullScreenshot(100))
	name := fmt.Sprintf("%s-%s-%02d-%s-%s.png", p.story, p.window.name, p.shots, step, scheme)
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots, name), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// noFaults fails the test if the browser has reported a fault.
func (p *person) noFaults(when string) {
	p.t.Helper()
	for _, fault := range p.watch.take() {
		p.t.Errorf("%s: %s", when, fault)
	}
}
