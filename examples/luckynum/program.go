package main

import (
	_ "embed" // of the program
	"strings"
	"text/template"

	"github.com/countersign-go/countersign/mac"
)

//go:embed templates/program.txt
var programSource string

var programTemplate = template.Must(template.New("program").Parse(programSource))

// writeProgram returns a Go program that asks for the number at a URL, signing with a key.
func writeProgram(at, id, key string, algorithm mac.Algorithm) (string, error) {
	var b strings.Builder
	err := programTemplate.Execute(&b, map[string]any{
		"URL": at, "ID": id, "Key": key, "SHA1": algorithm == mac.SHA1,
	})
	return b.String(), err
}
