package portal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a file of passwords.
const (
	maxFile = 16 << 20
	maxLine = 4 << 10
)

// A line of a file is one user.
type line struct {
	number         int
	user, password string
	more           bool   // there are columns behind the last that is used
	text           string // the whole line
}

// A layout is where the columns of a file are.
type layout struct {
	delimiter      string
	user, password int
	rest           bool // the last column goes to the end of the line, delimiters and all
}

var errColumns = errors.New("no name, or no column for the password: write both")

// readLines calls each for every line that has a user, and a column for the password, which may be
// empty. It skips empty lines and comments, which begin with #, and gives all others that it cannot
// use to fault.
func (l layout) readLines(r io.Reader, each func(line), fault func(number int, err error)) error {
	lines := bufio.NewReaderSize(r, maxLine+len("\r\n"))
	for number := 1; ; number++ {
		read, err := lines.ReadSlice('\n')
		text := strings.TrimRight(string(read), " \t\r\n\v\f")
		if number == 1 && strings.HasPrefix(text, "\ufeff") { // which editors do not show
			fault(number, errors.New("a byte order mark, which is part of what it stands before: "+
				"save the file without it"))
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			fault(number, fmt.Errorf("a line over %d bytes", maxLine))
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
		} else if text != "" && text[0] != '#' {
			got, ok := l.split(text)
			got.number, got.text = number, text
			switch {
			case !ok:
				fault(number, errColumns)
			case !isName(got.user):
				fault(number, errors.New("a name that is too long or not printable"))
			default:
				each(got)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// split returns false for a line with too few columns, or no name.
func (l layout) split(text string) (line, bool) {
	last := max(l.user, l.password)
	most := last + 2 // one more than is used
	if l.rest {
		most = last + 1
	}
	columns := strings.SplitN(text, l.delimiter, most)
	if len(columns) <= last {
		return line{}, false
	}
	got := line{user: columns[l.user], password: columns[l.password], more: len(columns) == most}
	return got, got.user != ""
}
