#!/bin/bash
# Makes real captures: two wireguard-go processes, a and b, in network namespaces of their own, with a router between
# them, and one dumpcap before each. a pings b through the tunnel once a second.
#
#   lab.sh DIR SECONDS [AT:ACTION...]
#
# DIR gets a.pcapng, b.pcapng, a.conf, b.conf. ACTION, so many seconds after the start, is one of
#   lose-ba lose-ab   the router drops what b sends to a, or a to b
#   heal              it forwards everything again
#   stop-b start-b    b's process ends, or a new one starts
#   psk-b             b restarts with another preshared key for a
#   quiet talk        a's pings stop, or go on
# The capture in testdata/oneway was made, on Linux with wireguard-go, iproute2, wg and dumpcap, as root, by
#   lab.sh oneway 235 140:lose-ba 200:heal
set -eu
out=$1 seconds=$2
shift 2
mkdir -p "$out"
out=$(cd "$out" && pwd)
id=wgx$$
A=$id-a B=$id-b R=$id-r
pids=()
bpid= pingpid=

finish() {
	for p in $bpid $pingpid "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	wait 2>/dev/null || true
	for n in $A $B $R; do ip netns del $n 2>/dev/null || true; done
}
trap finish EXIT

for n in $A $B $R; do
	ip netns add $n
	ip -n $n link set lo up
	ip netns exec $n sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.ip_forward=1
done
link() { # NAMESPACE NET
	ip -n $R link add r$2 type veth peer name eth0 netns $1
	ip -n $R addr add 192.0.$2.1/24 dev r$2
	ip -n $R link set r$2 up
	ip -n $1 addr add 192.0.$2.2/24 dev eth0
	ip -n $1 link set eth0 up
	ip -n $1 route add default via 192.0.$2.1
}
link $A 2
link $B 3

umask 077
akey=$(wg genkey) bkey=$(wg genkey) psk=$(wg genpsk)
apub=$(wg pubkey <<<"$akey") bpub=$(wg pubkey <<<"$bkey")
conf() { # a|b, to change by the caller through the variables above
	if [ $1 = a ]; then
		printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.77.0.1/24\n\n[Peer]\nPublicKey = %s\n' "$akey" "$bpub"
		printf 'PresharedKey = %s\nAllowedIPs = 10.77.0.2/32\nEndpoint = 192.0.3.2:51820\n' "$psk"
	else
		printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\nAddress = 10.77.0.2/24\n\n[Peer]\nPublicKey = %s\n' "$bkey" "$apub"
		printf 'PresharedKey = %s\nAllowedIPs = 10.77.0.1/32\n' "$psk"
	fi
}
conf a >"$out/a.conf"
conf b >"$out/b.conf"

# The socket of UAPI is in the file system, which namespaces of networks share: each side has a tmpfs of its own.
side='
mkdir -p /var/run/wireguard && mount -t tmpfs none /var/run/wireguard
WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error wireguard-go -f wg0 &
p=$!
trap "kill $p" TERM INT
until wg show wg0 >/dev/null 2>&1; do kill -0 $p || exit 1; sleep 0.05; done
grep -v ^Address "$1" | wg setconf wg0 /dev/stdin
ip link set wg0 mtu 1420 up
ip addr add $(sed -n "s/^Address = //p" "$1") dev wg0
touch "$2"
wait $p
'
start() { # NAMESPACE CONF: a background process, its id in $!
	rm -f "$out/ready"
	ip netns exec $1 unshare -m bash -c "$side" side "$2" "$out/ready" &
	local p=$!
	for _ in $(seq 400); do [ -e "$out/ready" ] && break; sleep 0.05; done
	[ -e "$out/ready" ] || { echo "wireguard-go did not start in $1" >&2; exit 1; }
	rm -f "$out/ready"
	started=$p
}
for s in a b; do
	n=$id-$s
	ip netns exec $n dumpcap -q -s 256 -i eth0 -f "udp or icmp" -w "$out/$s.pcapng" 2>"$out/$s.log" &
	pids+=($!)
done
for s in a b; do
	for _ in $(seq 400); do [ -s "$out/$s.pcapng" ] && break; sleep 0.05; done
	[ -s "$out/$s.pcapng" ] || { cat "$out/$s.log" >&2; exit 1; }
done
rm -f "$out/a.log" "$out/b.log"
start $B "$out/b.conf"; bpid=$started
start $A "$out/a.conf"; apid=$started; pids+=($apid)
talk() { ip netns exec $A ping -q -i 1 -s 16 10.77.0.2 >/dev/null & pingpid=$!; }
stop_b() { kill $bpid 2>/dev/null || true; wait $bpid 2>/dev/null || true; bpid=; }
talk

begin=$(date +%s%N)
until_() { local left=$(( begin + $1 * 1000000000 - $(date +%s%N) )); [ $left -le 0 ] || sleep $(( left / 1000000000 )).$(printf %09d $(( left % 1000000000 ))); }
for step in "$@"; do
	until_ "${step%%:*}"
	case ${step#*:} in
	lose-ba) ip -n $R route replace blackhole 192.0.2.2/32 ;;
	lose-ab) ip -n $R route replace blackhole 192.0.3.2/32 ;;
	heal) ip -n $R route del blackhole 192.0.2.2/32 2>/dev/null || true
		ip -n $R route del blackhole 192.0.3.2/32 2>/dev/null || true ;;
	stop-b) stop_b ;;
	start-b) start $B "$out/b.conf"; bpid=$started ;;
	psk-b) stop_b; psk=$(wg genpsk); conf b >"$out/b.conf"; start $B "$out/b.conf"; bpid=$started ;;
	quiet) kill $pingpid; wait $pingpid 2>/dev/null || true; pingpid= ;;
	talk) talk ;;
	*) echo "no such action: $step" >&2; exit 2 ;;
	esac
done
until_ "$seconds"
sleep 0.3
