package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purewire/purewire/cmd/wgconform/internal/target/remote"
)

type initRemoteFlags struct {
	plan     remote.Plan
	networks []string
	trigger  []string
	out      string
}

// Where the device is inside unless a flag says otherwise.
var defaultNetworks = []string{"10.99.0.0/16", "fd99:77::/64"}

const (
	defaultPeers   = 16
	defaultTrigger = "ping"
	echoPort       = 7 // RFC 862
)

func (p *program) initRemoteCommand() *cobra.Command {
	var f initRemoteFlags
	c := &cobra.Command{
		Use:   "init-remote",
		Short: "Prepare the test of a device: write its target file, print its configuration",
		Long: `Make keys and addresses for the test of any device that is reachable over UDP: write them to a target file,
and print the configuration that the device is to have, in the form of wg(8) and wg-quick(8). Both hold private keys.
Then configure the device and run: wgconform run --target remote:FILE

Triggers say by what the device's inner side shows itself and is made to send. They may be repeated:
  ping              the device answers pings inside (most hosts do)
  echo-udp[:PORT]   a UDP echo service of the device inside, on port 7 if none is given
  command:COMMAND   COMMAND is run by the shell here and makes the device send to $address
  manual            a person is asked to`,
		Example: `  wgconform init-remote --address 192.0.2.1:51820 --out router.yaml > router.conf
  wgconform init-remote --address 192.0.2.1:51820 --trigger 'command:ssh router ping -c1 $address' --out router.yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.initRemote(&f) },
	}
	set := c.Flags()
	set.SortFlags = false
	set.StringVar(&f.out, "out", "", "`file` to write; it must not exist")
	set.StringArrayVar(&f.plan.Addresses, "address", nil,
		"where the device is, `HOST:PORT`; may be repeated for its IPv6 address")
	set.IntVar(&f.plan.Peers, "peers", defaultPeers, "`number` of peers that the device can take; every case holds two")
	set.StringArrayVar(&f.trigger, "trigger", []string{defaultTrigger}, "`kind` of trigger, see above")
	set.StringVar(&f.plan.PublicKey, "public-key", "", "`key` of a device that has one already (default: one is made)")
	set.StringArrayVar(&f.networks, "network", defaultNetworks,
		"`prefix` inside, one of each family; the device is the first host")
	set.StringVar(&f.plan.Name, "name", "", "`name` of the device for the reports")
	set.StringArrayVar(&f.plan.Local, "local", nil, "`address` of this host to send from (default: as routes say)")
	set.StringArrayVar(&f.plan.Observe, "observe", nil, "`what` else can be seen: tos, if nothing on the way changes it")
	set.StringVar(&f.plan.Reset, "reset", "", "shell `command`, run here, that starts the device's WireGuard anew")
	return c
}

func (p *program) initRemote(f *initRemoteFlags) error {
	switch {
	case f.out == "":
		return errors.New("--out is missing: which file to write")
	case len(f.plan.Addresses) == 0:
		return errors.New("--address is missing: where the device is, as in --address 192.0.2.1:51820")
	}
	for _, n := range f.networks {
		prefix, err := netip.ParsePrefix(n)
		if err != nil {
			return fmt.Errorf("--network %s: want a prefix, such as 10.99.0.0/16", n)
		}
		f.plan.Networks = append(f.plan.Networks, prefix)
	}
	for _, t := range f.trigger {
		if err := f.addTrigger(t); err != nil {
			return fmt.Errorf("--trigger %s: %w", t, err)
		}
	}
	file, configuration, err := remote.Generate(f.plan)
	if err != nil {
		return err
	}
	if err := writeNew(f.out, file); err != nil {
		return err
	}
	if _, err := p.stdout.Write(configuration); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "wgconform: wrote %s. Configure the device as printed, then: wgconform run --target %s\n", f.out,
		quote("remote:"+f.out))
	return nil
}

// addTrigger understands a trigger.
func (f *initRemoteFlags) addTrigger(text string) error {
	kind, what, colon := strings.Cut(text, ":")
	t := &f.plan.Trigger
	switch kind {
	case "ping", "manual":
		if colon {
			return fmt.Errorf("%s takes nothing behind a colon", kind)
		}
		if kind == "manual" {
			t.Manual = true
			return nil
		}
		for _, n := range f.plan.Networks {
			t.Ping = append(t.Ping, remote.Device(n).String())
		}
	case "echo-udp":
		port := uint64(echoPort)
		if colon {
			var err error
			if port, err = strconv.ParseUint(what, 10, 16); err != nil || port == 0 {
				return errors.New("want a port, as in echo-udp:7")
			}
		}
		for _, n := range f.plan.Networks {
			t.EchoUDP = append(t.EchoUDP, netip.AddrPortFrom(remote.Device(n), uint16(port)).String())
		}
	case "command":
		if t.Command = what; strings.TrimSpace(what) == "" {
			return errors.New("the command is missing, as in 'command:ssh router ping -c1 $address'")
		}
	default:
		return errors.New("there are ping, echo-udp, command and manual")
	}
	return nil
}

// writeNew writes a file that only its owner can read, and leaves what is there alone: its keys may be in use.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; its keys may be in use, so it is left as it is", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
