package portal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a password file.
const (
	maxFile = 16 << 20
	maxLine = 4 << 10
)

// A line is one line of a file, with one user.
type line struct {
	number         int
	user, password string
	more           bool   // columns follow the last one used
	text           string // the whole line
}

// A layout is the arrangement of columns in a file.
type layout struct {
	delimiter      string
	user, password int
	rest           bool // the last column extends to the end of the line, delimiters included
}

var errColumns = errors.New("no name, or no column for the password: write both")

// readLines calls each for every line that has a user and a column for the password, which may be
// empty. It skips empty lines and comments, which begin with #. It calls fault for all other lines.
func (l layout) readLines(r io.Reader, each func(line), fault func(number int, err error)) error {
	lines := bufio.NewReaderSize(r, maxLine+len("\r\n"))
	for number := 1; ; number++ {
		read, err := lines.ReadSlice('\n')
		text := strings.TrimRight(string(read), " \t\r\n\v\f")
		if number == 1 && strings.HasPrefix(text, "\ufeff") { // editors do not show it
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

// split returns false if the line has too few columns or an empty name.
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
