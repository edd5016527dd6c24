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

// A script that starts every minute keeps its token in a folder. A process that finds a token
// stored by another process does not fetch a second one.
func ExampleDir() {
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(parent)
	// A program would use os.UserConfigDir, or a setting.
	store := &file.Dir{Path: filepath.Join(parent, "myscript")}

	ctx, name := context.Background(), "https://api.example.com/token ada"
	_, err = store.Load(ctx, name)
	fmt.Println("nothing yet:", errors.Is(err, creds.ErrNotFound))

	for range 2 {
		err = store.Update(ctx, name, func(old []byte) ([]byte, error) {
			if old != nil {
				fmt.Println("another process was faster")
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
	// another process was faster
	// token 1 <nil>
}

// The program always names the folder. The text of an error names the next action.
func ExampleDir_Load() {
	store := new(file.Dir)
	_, err := store.Load(context.Background(), "token")
	fmt.Println(err)
	// Output: file: a Dir needs the Path of a folder: this one is empty
}

// An f that returns nil deletes the record.
func ExampleDir_Update() {
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(parent)
	store, ctx := &file.Dir{Path: filepath.Join(parent, "myscript")}, context.Background()

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

// Another program rotates the file of a key. The server has the new key already, and refuses the
// old one, so the Signer of the request makes the Secret read the file again at once.
func ExampleSecret() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	key, ctx := &file.Secret{Path: filepath.Join(folder, "key")}, context.Background()
	rotate := func(contents string) {
		if err := os.WriteFile(key.Path, []byte(contents), 0o600); err != nil {
			fmt.Println(err)
		}
	}

	rotate("first key\n")
	secret, err := key.Credentials(ctx)
	fmt.Printf("%v %q %v\n", secret, string(secret), err)

	rotate("second key\n")
	again, _, err := creds.Refresh(ctx, key, func(now creds.Secret) bool {
		return string(now) == string(secret) // the server refused this key
	}, nil)
	fmt.Println("sign again:", again, err)
	secret, err = key.Credentials(ctx)
	fmt.Printf("%v %q %v\n", secret, string(secret), err)
	// Output:
	// [redacted] "first key" <nil>
	// sign again: true <nil>
	// [redacted] "second key" <nil>
}
