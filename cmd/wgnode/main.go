// Command wgnode is a WireGuard interface in user space, driven by wg(8) and wg-quick(8) or by a configuration file.
//
//	wgnode [-f] IFNAME                    as wireguard-go: WG_QUICK_USERSPACE_IMPLEMENTATION=wgnode wg-quick up FILE
//	wgnode [-f] --config FILE.conf        without any other tool (Linux)
//
//	--metrics ADDR        Prometheus metrics at http://ADDR/metrics
//	--log-format FORMAT   text or json
//	--record FILE         every input of the protocol core, for "wgsim replay"; FILE holds secrets
//
// The environment is that of wireguard-go: LOG_LEVEL (verbose, debug, error, silent), WG_TUN_FD, WG_UAPI_FD,
// WG_PROCESS_FOREGROUND. Without -f a daemon is left behind once the interface is ready; its output goes nowhere
// unless LOG_LEVEL is set. On Linux the process that serves keeps CAP_NET_ADMIN and CAP_NET_BIND_SERVICE only.
//
// It ends with status 0 on SIGTERM or SIGINT, when the interface is deleted and when the socket's file is removed;
// with 1 if the interface could not be set up; with 2 if it was called in a wrong way.
package main

import (
	"os"
)

func main() {
	p := program{stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	os.Exit(p.execute(os.Args[1:]))
}
