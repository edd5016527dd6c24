package file_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/countersign-go/countersign/creds/file"
)

// The cost in BenchmarkDirUpdate must not depend on the number of records. The folder is swept
// before the measurement, since a Dir sweeps it only once a minute.
func BenchmarkDirUpdate(b *testing.B) {
	for _, records := range []int{0, 2000, 30000} {
		b.Run(strconv.Itoa(records), func(b *testing.B) {
			dir := &file.Dir{Path: filepath.Join(b.TempDir(), "store")}
			n := 0
			update := func() {
				err := dir.Update(context.Background(), "a", func([]byte) ([]byte, error) {
					n++
					return strconv.AppendInt(nil, int64(n), 10), nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			update()
			for i := range records {
				base, err := dir.Base(strconv.Itoa(i))
				if err != nil {
					b.Fatal(err)
				}
				for _, ext := range []string{".record", ".lock"} {
					path := filepath.Join(dir.Path, base+ext)
					if err := os.WriteFile(path, nil, 0o600); err != nil {
						b.Fatal(err)
					}
				}
			}
			for b.Loop() {
				update()
			}
		})
	}
}
