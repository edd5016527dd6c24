package main

import (
	_ "embed" // of the program
	"strings"
	"text/template"
)

//go:embed templates/program.txt
var programSource string

var programTemplate = template.Must(template.New("program").Parse(programSource))

// writeProgram returns a Go program that asks for the number at a URL. It reads its credentials
// from a file, so that its source can be shared.
func writeProgram(at string) (string, error) {
	var b strings.Builder
	err := programTemplate.Execute(&b, at)
	return b.String(), err
}
