package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/creds/file"
)

// A script that is started every minute keeps its token in a folder of its own. Whoever finds that
// another process has stored one does not fetch a second.
func ExampleDir() {
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(parent)
	// A program would use os.UserConfigDir, or a setting.
	store := file.Dir(filepath.Join(parent, "myscript"))

	ctx, name := context.Background(), "https://api.example.com/token ada"
	_, err = store.Load(ctx, name)
	fmt.Println("nothing yet:", errors.Is(err, creds.ErrNotFound))

	for range 2 {
		err = store.Update(ctx, name, func(old []byte) ([]byte, error) {
			if old != nil {
				fmt.Println("somebody was faster")
				return old, nil
			}
			fmt.Println("fetch")
			return []byte("token 1"), nil
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	token, err := store.Load(ctx, name)
	fmt.Printf("%s %v\n", token, err)
	// Output:
	// nothing yet: true
	// fetch
	// somebody was faster
	// token 1 <nil>
}

// The folder is always named by the program. A record in a file of another user is refused, for
// instance, and the error says what to do.
func ExampleDir_Load() {
	var store file.Dir
	_, err := store.Load(context.Background(), "token")
	fmt.Println(err)
	// Output: file: a Dir needs the name of a folder: this one is empty
}

// Nil deletes a record.
func ExampleDir_Update() {
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(parent)
	store, ctx := file.Dir(filepath.Join(parent, "myscript")), context.Background()

	for _, record := range [][]byte{[]byte("token 1"), nil} {
		err := store.Update(ctx, "token", func([]byte) ([]byte, error) { return record, nil })
		if err != nil {
			fmt.Println(err)
		}
		stored, err := store.Load(ctx, "token")
		fmt.Printf("%q %t\n", stored, errors.Is(err, creds.ErrNotFound))
	}
	// Output:
	// "token 1" false
	// "" true
}
