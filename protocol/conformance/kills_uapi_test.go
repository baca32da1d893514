package conformance_test

import (
	"net"
	"regexp"
	"strings"
)

// tampering is a connection on which what the client writes is changed on its way to the subject.
type tampering struct {
	net.Conn
	change func(string) string
}

func (c tampering) Write(b []byte) (int, error) {
	if _, err := c.Conn.Write([]byte(c.change(string(b)))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// deaf is a subject that does not understand some lines of a request: those that match are as if they had not been
// written, or had said something else.
func deaf(name, match, to string) bad {
	re := regexp.MustCompile("(?m)^" + match + "$\n?")
	return wrap(name, mangle{uapi: func(c net.Conn) net.Conn {
		return tampering{c, func(s string) string { return re.ReplaceAllString(s, to) }}
	}})
}

// says is a subject whose answers have something else than they must.
func says(name, match, to string) bad {
	re := regexp.MustCompile(match)
	return wrap(name, mangle{uapi: answering(func(s string) string { return re.ReplaceAllString(s, to) })})
}

// closing is a connection that the subject ends after its first answer.
type closing struct {
	net.Conn
	done bool
}

func (c *closing) Read(b []byte) (int, error) {
	if c.done {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(b)
	c.done = strings.HasSuffix(string(b[:n]), "\n\n")
	return n, err
}

func oneRequest() bad {
	return wrap("one-request-per-connection", mangle{uapi: func(c net.Conn) net.Conn { return &closing{Conn: c} }})
}

var (
	keepsPeers   = deaf("ignores-remove", "remove=true", "")
	makesPeers   = deaf("ignores-update-only", "update_only=true", "")
	noMinus      = deaf("ignores-minus", "allowed_ip=-.*", "")
	stranded     = deaf("minus-adds", "allowed_ip=-(.*)", "allowed_ip=$1\n")
	hidesPSK     = says("hides-preshared-key", "preshared_key=[0-9a-f]{64}\n", "")
	hidesVersion = says("hides-protocol-version", "protocol_version=1\n", "")
)

var uapiKills = killers{
	"uapi/get/form":                    {says("spaces-for-equals", "listen_port=", "listen_port ")},
	"uapi/set/form":                    {says("echoes-set", "^errno=0\n\n", "set=1\nerrno=0\n\n")},
	"uapi/get/errno-last":              {says("talks-on", "errno=0\n\n$", "errno=0\nprotocol=1\n\n")},
	"uapi/get/order":                   {says("fwmark-last", "errno=0\n\n$", "fwmark=0\nerrno=0\n\n")},
	"uapi/get/known-keys":              {says("own-keys", "listen_port=", "jc=4\nlisten_port=")},
	"uapi/error/number":                {says("errno-is-one", "errno=-?22\n", "errno=1\n")},
	"uapi/get/hex":                     {says("base64-keys", "preshared_key=(ab){32}", "preshared_key=q6urq6s=")},
	"uapi/peer/create":                 {deaf("no-new-peers", "public_key=.*\npersistent_keepalive_interval=43", "")},
	"uapi/peer/update-keeps":           {deaf("forgets-on-update", "endpoint=.*:4141", "replace_allowed_ips=true\n")},
	"uapi/peer/remove":                 {keepsPeers},
	"uapi/peer/remove-unknown":         {keepsPeers},
	"uapi/peer/update-only-unknown":    {makesPeers},
	"uapi/peer/update-only-known":      {deaf("update-only-is-remove", "update_only=true", "remove=true\n")},
	"uapi/peer/keepalive-off":          {deaf("ignores-zero-interval", "persistent_keepalive_interval=0", "")},
	"uapi/peer/keepalive-shown":        {says("interval-as-int16", "interval=65535", "interval=-1")},
	"uapi/peer/endpoint-v4":            {says("mapped-endpoints", "endpoint=192.0.2.77", "endpoint=[::ffff:192.0.2.77]")},
	"uapi/peer/endpoint-v6":            {says("no-brackets", `endpoint=\[([0-9a-f:]*)\]`, "endpoint=$1")},
	"uapi/peer/preshared-key-shown":    {hidesPSK},
	"uapi/peer/preshared-key-removed":  {deaf("keeps-preshared-key", "preshared_key=0{64}", "")},
	"uapi/peer/protocol-version":       {deaf("protocol-unknown", "protocol_version=1", "protocol_version=3\n")},
	"uapi/peer/protocol-version-shown": {hidesVersion},
	"uapi/peer/never-shaken":           {says("shaken-in-1970", "handshake_time_nsec=0", "handshake_time_nsec=1")},
	"uapi/peer/own-key":                {deaf("refuses-itself", "allowed_ip=10.33.0.0/16", "allowed_ip=refused\n")},
	"uapi/peer/many":                   {says("cuts-long-answers", "allowed_ip=10.117.31.0/24\n", "")},
	"uapi/allowed-ip/adds":             {deaf("replaces-on-add", "(allowed_ip=2001.*)", "replace_allowed_ips=true\n$1\n")},
	"uapi/allowed-ip/moves":            {deaf("prefix-stays", "persistent_keepalive_interval=62\nallowed_ip=.*", "")},
	"uapi/allowed-ip/replace":          {deaf("ignores-replace-allowed-ips", "replace_allowed_ips=true", "")},
	"uapi/allowed-ip/minus":            {noMinus, stranded},
	"uapi/allowed-ip/minus-absent":     {stranded},
	"uapi/allowed-ip/host-bits":        {says("shows-host-bits", "allowed_ip=10.69.0.0/16", "allowed_ip=10.69.2.3/16")},
	"uapi/device/private-key":          {says("hides-private-key", "private_key=[0-9a-f]{64}\n", "")},
	"uapi/device/private-key-clamped":  {says("shows-unclamped", "=f8(ff){30}7f", "="+strings.Repeat("ff", 32))},
	"uapi/device/private-key-removed":  {deaf("keeps-private-key", "private_key=0{64}", "")},
	"uapi/device/becomes-its-peer":     {deaf("keeps-own-private-key", "private_key=.*", "")},
	"uapi/device/listen-port-taken":    {deaf("takes-port-53", "listen_port=53", "")},
	"uapi/device/listen-port":          {deaf("ignores-listen-port", "listen_port=51999", "")},
	"uapi/device/listen-port-chosen":   {says("shows-port-as-set", "listen_port=[0-9]+", "listen_port=0")},
	"uapi/device/fwmark":               {says("fwmark-hexadecimal", "fwmark=4294967295", "fwmark=0xffffffff")},
	"uapi/device/replace-peers":        {deaf("ignores-replace-peers", "replace_peers=true", "")},
	"uapi/effect/new-peer-is-used":     {deaf("forgets-endpoints", "endpoint=10.*", "")},
	"uapi/effect/preshared-key":        {deaf("drops-preshared-key", "preshared_key=.*", "")},
	"uapi/effect/last-handshake":       {says("rounds-bytes", "rx_bytes=180", "rx_bytes=192")},
	"uapi/effect/keepalive-starts":     {deaf("drops-interval", "persistent_keepalive_interval=34", "")},
	"uapi/effect/not-before-the-end":   {deaf("applies-halves", "allowed_ip=10.36.0.0/16", "allowed_ip=10.36.0.0/16\n\n")},
	"uapi/effect/atomic":               {deaf("ignores-bad-endpoint", "endpoint=nowhere", "")},
}

func init() {
	uapiKills["uapi/connection/several-requests"] = []bad{oneRequest()}
	uapiKills["uapi/connection/unknown-request"] = []bad{deaf("anything-is-get", "hello=1", "get=1\n")}
	for _, r := range [][2]string{
		{"unknown-key", "frobnicate=1"}, {"unknown-peer-key", "frobnication=1"}, {"no-equals-sign", "allowed_ip"},
		{"short-private-key", "private_key=00ff"}, {"bad-preshared-key", "preshared_key=z.*"},
		{"bad-endpoint", "endpoint=192.0.2.1"}, {"bad-allowed-ip", "allowed_ip=10.0.0.0/33"},
		{"bad-allowed-ip-v6", "allowed_ip=2001:db8::/129"},
		{"interval-out-of-range", "persistent_keepalive_interval=65536"},
		{"interval-no-number", "persistent_keepalive_interval=often"}, {"port-out-of-range", "listen_port=65536"},
		{"mark-out-of-range", "fwmark=4294967296"}, {"other-protocol-version", "protocol_version=2"},
		{"replace-peers-false", "replace_peers=false"}, {"remove-false", "remove=false"},
		{"update-only-false", "update_only=false"}, {"replace-allowed-ips-false", "replace_allowed_ips=false"},
	} {
		uapiKills["uapi/refuse/"+r[0]] = []bad{deaf("lenient-"+r[0], r[1], "")}
	}
}
