package lost

import "io"

// Plan 9 has words in place of numbers.
var closings = [...]error{io.EOF}
