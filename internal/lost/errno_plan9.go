package lost

import "io"

// Plan 9 has error texts in place of error numbers.
var closings = [...]error{io.EOF}
