package wireguardgo

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/purewire/purewire/cmd/wgconform/internal/shim"
)

// What TestServe serves: nothing, unless the binary is the shim.
var (
	requests io.Reader = strings.NewReader("")
	replies  io.Writer = io.Discard
)

// TestMain makes the test binary a shim if it is started without arguments, which go test never does.
func TestMain(m *testing.M) {
	if len(os.Args) == 1 {
		requests, replies = os.Stdin, os.Stdout
		os.Stdout = os.Stderr // package testing says PASS there
		// With one processor what is ready runs in turn. Several would give wireguard-go's workers the chance to
		// overtake each other, and to keep up with a flood.
		runtime.GOMAXPROCS(1)
		if err := flag.Set("test.run", "^TestServe$"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

// TestServe is the shim. Under go test there are no requests, and that is a good end.
func TestServe(t *testing.T) {
	o := shim.Options{Has: []string{shim.Addresses}, Lacks: map[string]string{
		shim.Repeats: "it draws from crypto/rand and from the runtime, and neither takes a seed for one instance",
		shim.Work:    "in a bubble of testing/synctest work takes no time; load comes from a flood that fills its queue",
	}}
	if err := shim.Serve(context.Background(), requests, replies, Factory{T: t, Log: os.Stderr}, o); err != nil {
		t.Fatal(err)
	}
}
