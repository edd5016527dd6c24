package portal_test

import (
	"context"
	"fmt"

	"github.com/countersign-go/countersign/creds"
	"github.com/countersign-go/countersign/portal"
)

func ExampleMemory() {
	users := portal.Memory{"ann": creds.Secret("correct horse")}

	given := portal.Password{User: "ann", Password: creds.Secret("correct horse")}
	fmt.Println(users.Check(context.Background(), given))

	given.Password = creds.Secret("battery staple")
	fmt.Println(users.Check(context.Background(), given))
	// Output:
	// ann <nil>
	//  portal: wrong user or password
}
