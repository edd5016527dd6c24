package browser

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A window is the browser window of a person.
type window struct {
	name          string
	width, height int64
	mobile        bool // follows the viewport meta element, as phones do
}

var (
	phone = window{"360", 360, 800, true}
	desk  = window{"1280", 1280, 800, false}
)

// chromium returns the program, under the names that Debian and others use.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("a browser is needed: install Chromium (package chromium on Debian)")
	return ""
}

// startBrowser starts a browser with a new profile and returns the context of its first tab. The
// browser ends with the test, and at the latest after two minutes.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	limited, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)),
		// Pages reach this machine by its address, and no host by name. Chromium cannot use its
		// sandbox as root; only then does chromedp turn it off.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "en"),
	)
	allocator, end := chromedp.NewExecAllocator(limited, options...)
	t.Cleanup(end) // waits until the processes have ended and the profile is removed
	tab, closeTab := chromedp.NewContext(allocator,
		chromedp.WithLogf(func(string, ...any) {}), chromedp.WithErrorf(t.Logf))
	t.Cleanup(closeTab)
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	return tab
}
