package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/countersign-go/countersign/mac"
)

// explain writes to w the client's view of a refusal: whether the signature is right for the
// request that was sent, and the text that was signed. The service can print the same with
// mac.Explain and mac.Dump.
func (c *client) explain(err error, w io.Writer) {
	refused, ok := errors.AsType[*refusedError](err)
	if !ok || refused.request == nil || c.keys == nil {
		return
	}
	e, err := mac.Explain(refused.request, nil, &mac.Verifier{Keys: c.keyOf})
	if err != nil {
		fmt.Fprintf(w, "   not explained    %v\n", err)
		return
	}
	fmt.Fprintf(w, "   explained        %v\n%s", e, e.Read)
}

// keyOf returns the key that the client signs with, if its id is id.
func (c *client) keyOf(ctx context.Context, id string) (*mac.Key, error) {
	k, err := c.keys.Credentials(ctx)
	if err != nil || k.ID != id {
		return nil, err // the key has been replaced in the meantime
	}
	return &mac.Key{Secret: k.Key, Algorithm: k.Algorithm}, nil
}
