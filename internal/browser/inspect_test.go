package browser

import (
	"fmt"

	"github.com/chromedp/chromedp/kb"
)

// inspect checks the page in several ways: it goes through all of it with Tab, in light and dark
// colors, by the rules of axe-core, and on a narrower phone. Afterwards the focus may be anywhere.
func (p *person) inspect(step string) {
	p.t.Helper()
	p.shots++
	for _, fault := range p.faults(step) {
		p.t.Errorf("%s: %s", step, fault)
	}
	p.noFaults(step)
}

// faults returns the faults of the page.
func (p *person) faults(step string) []string {
	p.t.Helper()
	ask[any](p, checksSource+"; null")
	ask[any](p, p.axe+"; null")
	var faults []string
	for _, scheme := range []string{"light", "dark"} {
		p.scheme(scheme)
		p.photograph(step, scheme)
		for _, fault := range append(p.walk(), p.violations()...) {
			faults = append(faults, scheme+": "+fault)
		}
	}
	p.scheme("light")
	faults = append(faults, p.layout(p.window.width)...)
	if p.window.mobile {
		// The least width that a page must fit without scrolling sideways (WCAG 2.2, 1.4.10).
		p.resize(320)
		faults = append(faults, p.layout(320)...)
		p.resize(p.window.width)
	}
	return faults
}

func (p *person) layout(width int64) []string {
	p.t.Helper()
	return ask[[]string](p, fmt.Sprintf("checks.layout(%d)", width))
}

// violations returns the faults that axe-core finds, and the cases that it leaves to people to
// decide: the pages are simple enough to avoid such cases.
func (p *person) violations() []string {
	p.t.Helper()
	found := ask[struct{ Violations, Undecided []string }](p, "checks.axe()")
	var faults []string
	for _, v := range found.Violations {
		faults = append(faults, "axe-core: "+v)
	}
	for _, u := range found.Undecided {
		faults = append(faults, "axe-core is not sure: "+u)
	}
	return faults
}

// walk presses Tab all the way through the page. The focus must stop at all elements that can be
// used, in the order of the document, must be visible there, and must leave the page again.
func (p *person) walk() []string {
	p.t.Helper()
	stops := ask[[]string](p, "checks.stops()")
	var faults []string
	reached := make(map[int]bool)
	last := -1
	for range 2*len(stops) + 10 {
		p.press(kb.Tab)
		at := ask[struct {
			Index          int
			Element, Fault string
		}](p, "checks.focus()")
		if at.Index >= 0 && reached[at.Index] {
			break // once around
		}
		if at.Fault != "" {
			faults = append(faults, at.Element+", with the focus on it, "+at.Fault)
		}
		if at.Index < 0 {
			continue
		}
		if last >= 0 && at.Index != (last+1)%len(stops) {
			faults = append(faults, "Tab goes from "+stops[last]+" to "+at.Element)
		}
		reached[at.Index] = true
		last = at.Index
	}
	for i, stop := range stops {
		if !reached[i] {
			faults = append(faults, "Tab does not reach "+stop)
		}
	}
	return faults
}
