// Command core is this project's own core as a shim (docs/SHIM.md): it shows that nothing is lost between a shim and
// the suite, since the suite knows the core without one, too.
//
//	go build -o coreshim ./cmd/wgconform/shims/core
//	wgconform run --target shim:./coreshim
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/purewire/purewire/cmd/wgconform/internal/shim"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
)

func main() {
	err := shim.Serve(context.Background(), os.Stdin, os.Stdout, coretarget.Factory{},
		shim.Options{Has: []string{shim.Addresses, shim.Repeats, shim.Work}})
	if err != nil {
		fmt.Fprintf(os.Stderr, "core: %v\n", err)
		os.Exit(2)
	}
}
