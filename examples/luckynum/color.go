package main

import (
	"io"
	"os"
)

// A color is the code of a terminal (ECMA-48, section 8.3.117).
type color string

const (
	bold   color = "1"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	cyan   color = "36"
)

// colors has the colors of the steps. Other steps have none.
var colors = map[string]color{
	provisioned: cyan, keyRenewed: cyan, clockCorrected: yellow,
	number: green, noKey: red, refused: red,
}

// paint returns text in a color, if there are colors.
func (s *steps) paint(c color, text string) string {
	if !s.colorful || c == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// isColorful reports whether w is a terminal, and its user has not disabled colors (no-color.org).
func isColorful(w io.Writer, getenv func(string) string) bool {
	f, ok := w.(*os.File)
	if !ok || getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
