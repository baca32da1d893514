package purewire_test

import (
	"fmt"
	"strconv"
	"strings"
)

// std stands for any package of the standard library; what the core may not take from it is in
// house_forbidden_test.go.
const std = "std"

// An arrow says what the folders matched by from may import. Paths of this module are written from its
// root, others in full; "/..." takes in everything below.
type arrow struct {
	from string
	may  []string
	// tests lists what their test files may import besides, and besides testLibs.
	tests []string
}

func list(s ...string) []string { return s }

// arrows is design §2 as a table. The first row that matches a folder counts, so the special stands
// above the general.
var arrows = []arrow{
	// The core, bottom to top. A test of a lower package does not look up.
	{"timers", list(std), nil},
	{"routing", list(std, "github.com/gaissmai/bart"), nil},
	{"protocol/wire", list(std), nil},
	{
		"protocol/internal/...",
		list(std, "timers", "protocol/wire", "protocol/internal/...", "golang.org/x/crypto/..."),
		nil,
	},
	{
		"protocol",
		list(std, "timers", "routing", "protocol/wire", "protocol/internal/..."),
		list("protocol/protocoltest", "protocol/eventlog", "protocol/conformance"),
	},

	// Around the core. Only protocoltest may switch a defect on (design §3, "Known-bad cores").
	{"protocol/eventlog", list(std, "protocol", "timers"), list("protocol/protocoltest")},
	{
		"protocol/protocoltest",
		list(std, "protocol", "timers", "protocol/internal/defect"),
		list("routing", "protocol/..."),
	},
	{"protocol/interop/...", list(std, "protocol", "timers"), list("protocol/...", "routing")},
	// The suite is an outsider: it shares no code with what it judges. Its tests run it on our core.
	// The core as a subject of the suite is beside it: the suite does not import it, its tests and wgconform do.
	{
		"protocol/conformance/coretarget",
		list(std, "timers", "protocol", "protocol/conformance", "transports", "transports/uapi"),
		list("protocol/protocoltest"),
	},
	{
		"protocol/conformance/...",
		list(std, "timers", "protocol/conformance/...", "github.com/flynn/noise", "golang.org/x/crypto/..."),
		list("protocol", "protocol/protocoltest"),
	},

	// The ends. timers is here wherever protocol is, since protocol's functions take a timers.Time.
	{"transports", list(std, "protocol", "timers"), list("transports/mem", "protocol/protocoltest", "protocol/eventlog")},
	{"transports/mem", list(std, "transports", "protocol", "timers"), list("protocol/protocoltest")},
	// An onlooker at real captures: it shares nothing with the simulator or the core, which its tests make captures with.
	{
		"transports/sim/explain",
		list(std, "golang.org/x/crypto/...", "github.com/gopacket/gopacket/..."),
		list("protocol", "transports/sim/..."),
	},
	{
		"transports/sim/...",
		list(std, "protocol", "timers", "transports/sim/...", "golang.org/x/crypto/...",
			"github.com/goccy/go-yaml/...", "github.com/gopacket/gopacket/..."),
		list("protocol/wire", "protocol/protocoltest", "protocol/eventlog", "github.com/santhosh-tekuri/jsonschema/v6",
			"github.com/chromedp/..."),
	},
	// Namespaces for the tests of the two ends that need the machine's network: for tests alone.
	{"transports/internal/netspace", list(std, "golang.org/x/sys/..."), nil},
	{"transports/udp", realEnd, list("transports/mem", "protocol/protocoltest", "transports/internal/netspace")},
	{"transports/tun", realEnd, list("transports/mem", "protocol/protocoltest", "transports/internal/netspace")},
	{"transports/uapi", realEnd, list("transports/mem", "protocol/protocoltest")},

	// The top. Nobody imports these: no row names them. netlink is how wgnode --config gives the interface addresses,
	// routes and rules on Linux: without it that would take ip(8), and reading what it prints.
	{"fuzz/...", list(std, "timers", "routing", "protocol/...", "transports/...", "pgregory.net/rapid"), nil},
	// The text of the configuration protocol in the suite's terms, for targets that are configured by it.
	{
		"cmd/wgconform/internal/uapitext",
		list(std, "protocol/conformance", "protocol/conformance/peer"),
		nil,
	},
	// What is under test in real time is seen from outside only: of ours this knows the suite's contract and nothing of
	// the core. What surrounds it is one package, and each sort of implementation has a driver.
	{
		"cmd/wgconform/internal/target/realtime",
		list(std, "timers", "protocol/conformance", "golang.org/x/sys/...", "github.com/vishvananda/netlink",
			"github.com/vishvananda/netns", "github.com/safchain/ethtool"),
		nil,
	},
	{
		"cmd/wgconform/internal/target/program",
		list(std, "cmd/wgconform/internal/target/realtime", "cmd/wgconform/internal/uapitext", "protocol/conformance",
			"golang.org/x/sys/...", "mvdan.cc/sh/v3/shell"),
		list("protocol/conformance/peer"),
	},
	// The kernel's interfaces are made by rtnetlink and configured by WireGuard's own netlink family, which wgctrl speaks.
	{
		"cmd/wgconform/internal/target/kernel",
		list(std, "timers", "cmd/wgconform/internal/target/realtime", "protocol/conformance", "golang.org/x/sys/...",
			"github.com/vishvananda/netlink", "github.com/vishvananda/netns", "golang.zx2c4.com/wireguard/wgctrl/..."),
		nil,
	},
	// What the programs have in common is how they are called, nothing of what they do. Its part for test scripts is for
	// tests alone, and has a row so that it is linked into no program.
	{"cmd/internal/shell", list(std, "github.com/spf13/cobra"), nil},
	{"cmd/internal/shell/shelltest", list(std, "github.com/rogpeppe/go-internal/testscript"), nil},
	// Machines for the tests of programs: for tests alone.
	{"cmd/internal/testhost", list(std), nil},
	// The shim protocol knows the suite's contract only: implementations in Go that are not ours are served by it.
	// This JSON says which field of a message is wrong, and takes no name for another in another case.
	{
		"cmd/wgconform/internal/shim",
		list(std, "timers", "protocol/conformance", "github.com/go-json-experiment/json/..."),
		list("protocol/conformance/coretarget", "protocol/conformance/peer"),
	},
	// A device far off is seen through UDP sockets; before the run the suite's own peer asks whether its file is right.
	{
		"cmd/wgconform/internal/target/remote",
		list(std, "timers", "cmd/wgconform/internal/target/realtime", "protocol/conformance", "protocol/conformance/peer",
			"golang.org/x/sys/...", "github.com/goccy/go-yaml/..."),
		nil,
	},
	// Its other end, and the check of shims, see them from outside only.
	{
		"cmd/wgconform/internal/target/shim",
		list(std, "timers", "protocol/conformance", "cmd/wgconform/internal/shim", "mvdan.cc/sh/v3/shell"),
		list("protocol/conformance/coretarget"),
	},
	{
		"cmd/wgconform/internal/shimcheck",
		list(std, "timers", "protocol/conformance", "protocol/conformance/peer", "cmd/wgconform/internal/shim",
			"cmd/wgconform/internal/target/shim"),
		list("protocol/conformance/coretarget"),
	},
	// A shim knows what it wraps, the suite's contract and the shim protocol: nothing of the core.
	{
		"cmd/wgconform/shims/wireguard-go",
		list(std, "timers", "protocol/conformance", "cmd/wgconform/internal/uapitext",
			"golang.zx2c4.com/wireguard/conn", "golang.zx2c4.com/wireguard/device", "golang.zx2c4.com/wireguard/tun"),
		list("cmd/wgconform/internal/..."),
	},
	{
		"cmd/...",
		list(std, "timers", "protocol", "protocol/eventlog", "protocol/conformance/...", "protocol/protocoltest",
			"transports/...", "cmd/wgconform/internal/...", "cmd/internal/shell",
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/goccy/go-yaml/...",
			"github.com/gopacket/gopacket/...", "github.com/vbauerster/mpb/...",
			"github.com/prometheus/client_golang/...", "github.com/vishvananda/netlink", "golang.org/x/sys/..."),
		list("cmd/internal/shell/shelltest", "cmd/internal/testhost"),
	},
	// The module root holds tests and examples only.
	{".", list(std), list("timers", "routing", "protocol", "transports/...")},
}

var realEnd = list(std, "transports", "protocol", "timers", "golang.org/x/sys/...", "golang.org/x/net/...",
	"golang.zx2c4.com/wireguard/tun/...", "golang.zx2c4.com/wireguard/conn/...", "golang.zx2c4.com/wireguard/ipc/...")

// testLibs may be used by every test file: oracles, real peers and test tools (design §9).
var testLibs = list(
	"pgregory.net/rapid",
	"github.com/flynn/noise",
	"golang.org/x/crypto/...",
	"golang.zx2c4.com/wireguard/...",
	"go.uber.org/goleak",
	"github.com/rogpeppe/go-internal/...",
	"github.com/santhosh-tekuri/jsonschema/v6", // holds JSON reports to their schema
)

func arrowFor(dir string) *arrow {
	for i := range arrows {
		if under(arrows[i].from, dir) {
			return &arrows[i]
		}
	}
	return nil
}

// origin turns an import path into what the table writes: "std", a path from our root, or the path itself.
func origin(imported string) string {
	if imported == module {
		return "."
	}
	if rest, ours := strings.CutPrefix(imported, module+"/"); ours {
		return rest
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return std
	}
	return imported
}

// checkArrows compares every import of the tree with the table.
func checkArrows(t *tree) (complaints []string) {
	for _, d := range t.folders {
		row := arrowFor(d.dir)
		if row == nil {
			complaints = append(complaints,
				fmt.Sprintf("%s: the folder is not in the table, see design §2 / docs/ARCHITECTURE.md", d.dir))
			continue
		}
		for _, f := range d.files {
			for _, spec := range f.ast.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil || arrowAllows(row, d.dir, f.isTest(), origin(imported)) {
					continue
				}
				complaints = append(complaints, fmt.Sprintf(
					"%s imports %s: not in the table, see design §2 / docs/ARCHITECTURE.md (%s)",
					d.dir, strings.TrimPrefix(imported, module+"/"), t.fset.Position(spec.Pos())))
			}
		}
	}
	return complaints
}

func arrowAllows(row *arrow, dir string, test bool, to string) bool {
	if underAny(row.may, to) {
		return true
	}
	// An external test imports the package it tests; that is no arrow.
	return test && (to == dir || underAny(row.tests, to) || underAny(testLibs, to))
}
