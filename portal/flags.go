package portal

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
)

// Flags lets the user who starts a program choose how logins are checked:
//
//	--auth TYPE[:ARGUMENT]    may be repeated; all are asked, in order
//	--help-auth               lists the types
//	--help-auth-type TYPE     explains one
//
// A program uses it like this:
//
//	login := &portal.Flags{Kinds: []reflect.Type{reflect.TypeFor[portal.Password]()}}
//	login.Register(flags)
//	err := flags.Parse(args)
//	...
//	checkers, err := login.Checkers(stdout)
//	// errors.Is(err, flag.ErrHelp): help was asked for and printed: exit status 0
//	// any other error: wrong usage: exit status 2
//
// All users of a machine can read its command lines; prefer a file for passwords. Flags never
// prints an ARGUMENT. The errors of this package's types print at most the name of a file.
//
// Use it by pointer. It must not be used by more than one goroutine at a time.
type Flags struct {
	// Kinds are the types of credentials that the program passes to its [Portal]. A Type that
	// handles none of them is neither listed nor accepted. If nil, all types are.
	Kinds []reflect.Type
	// Types are the program's own types. A Type whose Word is also the Word of a type of this
	// package replaces it.
	Types []Type

	auth     []string // as given
	help     bool
	helpType *string // nil if not asked for
}

// A Type is one way to check credentials that --auth can name.
type Type struct {
	Word string // its name in --auth, without a colon
	// Argument describes in one line the text after the colon. If empty, --auth takes no argument.
	Argument string
	// Help explains the type in some lines of up to 76 columns.
	Help  string
	Kinds []reflect.Type // the types it handles; required if the Flags have Kinds
	// New makes the Checker. argument is empty if none was given. The user who started the program
	// sees its errors, so they must say how to write the argument and must not repeat secrets.
	New func(argument string) (Checker, error)
}

// Register adds the flags to flags. Wrong values are reported by [Flags.Checkers], since package
// flag would print a wrong value, passwords included.
func (f *Flags) Register(flags *flag.FlagSet) {
	add := func(s string) error {
		f.auth = append(f.auth, s)
		return nil
	}
	flags.Func("auth", "who may log in, as `TYPE[:ARGUMENT]`; see --help-auth", add)
	flags.BoolVar(&f.help, "help-auth", false, "list the types of --auth")
	flags.Func("help-auth-type", "explain one `TYPE` of --auth", func(s string) error {
		f.helpType = &s
		return nil
	})
}

// Format writes how many types were named, under every verb.
func (f Flags) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "%d of --auth", len(f.auth)) }

// Checkers makes the Checkers that the flags name, in their order. If the flags name none, it
// returns none. If help was asked for, it writes the help to w and returns [flag.ErrHelp]. Any
// other error means wrong usage.
func (f *Flags) Checkers(w io.Writer) (Checkers, error) {
	if f.helpType != nil {
		return nil, f.explain(w, *f.helpType)
	}
	if f.help {
		return nil, f.list(w)
	}
	var checkers Checkers
	for _, auth := range f.auth {
		checker, err := f.checker(auth)
		if err != nil {
			return nil, err
		}
		checkers = append(checkers, checker)
	}
	return checkers, nil
}

func (f *Flags) checker(auth string) (Checker, error) {
	word, argument, given := strings.Cut(auth, ":")
	t, err := f.find("--auth", word)
	switch {
	case err != nil:
		return nil, err
	case !f.fits(t):
		return nil, fmt.Errorf("--auth %s: not supported: it is for %s, and this program takes %s",
			t.Word, names(t.Kinds), names(f.Kinds))
	case t.Argument == "" && given:
		return nil, fmt.Errorf("--auth %s: takes no argument", t.Word)
	}
	checker, err := t.New(argument)
	if err == nil && checker == nil {
		err = errors.New("it made no Checker, which is a fault of the program")
	}
	if err != nil {
		return nil, fmt.Errorf("--auth %s: %w", t.Word, err)
	}
	return checker, nil
}

// types returns all types, ordered by their words.
func (f *Flags) types() []Type {
	all := slices.Clone(f.Types)
	for _, t := range builtin() {
		if !slices.ContainsFunc(f.Types, func(own Type) bool { return own.Word == t.Word }) {
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b Type) int { return strings.Compare(a.Word, b.Word) })
	return all
}

func (f *Flags) find(name, word string) (Type, error) {
	for _, t := range f.types() {
		if t.Word == word {
			return t, nil
		}
	}
	var words []string
	for _, t := range f.types() {
		if f.fits(t) {
			words = append(words, t.Word)
		}
	}
	// Do not repeat the word: if the user forgot the type, it is a secret.
	return Type{}, fmt.Errorf("%s: type not recognized: there are %s; see --help-auth",
		name, strings.Join(words, ", "))
}

func (f *Flags) fits(t Type) bool {
	return f.Kinds == nil || slices.ContainsFunc(t.Kinds, func(kind reflect.Type) bool {
		return slices.Contains(f.Kinds, kind)
	})
}

func (f *Flags) list(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "--auth TYPE[:ARGUMENT] says who may log in. It may stand several times.\n",
		"--help-auth-type TYPE explains one type.\n\n  TYPE\tARGUMENT\n")
	for _, t := range f.types() {
		if f.fits(t) {
			fmt.Fprintf(table, "  %s\t%s\n", t.Word, argument(t))
		}
	}
	return help(table.Flush())
}

func (f *Flags) explain(w io.Writer, word string) error {
	t, err := f.find("--help-auth-type", word)
	if err != nil {
		return err
	}
	var text strings.Builder
	usage := "--auth " + t.Word
	if t.Argument != "" {
		usage += ":ARGUMENT"
	}
	fmt.Fprintf(&text, "%s\n\nARGUMENT: %s\n\n%s\n",
		usage, argument(t), strings.TrimSpace(t.Help))
	if !f.fits(t) {
		text.WriteString("\nNot supported: this program takes " + names(f.Kinds) + ".\n")
	}
	_, err = io.WriteString(w, text.String())
	return help(err)
}

func argument(t Type) string {
	if t.Argument == "" {
		return "none"
	}
	return t.Argument
}

// help returns ErrHelp after help was written, or the error of writing it.
func help(err error) error {
	if err != nil {
		return errors.Join(flag.ErrHelp, err)
	}
	return flag.ErrHelp
}
