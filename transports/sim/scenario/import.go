package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/purewire/purewire/protocol"
)

// ImportOptions are what the configurations do not say.
type ImportOptions struct {
	Name     string   // of the scenario; "": imported
	NAT      string   // of the hosts to which no endpoint leads; "": home. "none": they have public addresses
	Link     string   // of all networks; "": cable
	Loss     Ratio    // on the lines of all networks, besides the link's; zero: none
	Duration Duration // zero: 5 minutes
}

// Import makes a scenario from configurations of wg-quick(8). Hosts for which there is no configuration are created
// from what their peers say of them. notes says, one per line, what was ignored or made up. No key is taken over: those
// of the simulated hosts follow from their names.
func Import(list []Config, o ImportOptions) (f *File, notes []string, err error) {
	m := importer{o: o}
	for _, c := range list {
		conf, err := readConf(c)
		if err != nil {
			return nil, nil, err
		}
		m.notes = append(m.notes, conf.ignored...)
		h := &importHost{name: m.unused(conf.name), conf: conf, public: conf.public, inner: conf.inner, port: conf.port}
		if other := m.find(conf.public); other != nil {
			return nil, nil, &Error{File: c.Name, Line: 1, Col: 1, Field: "PrivateKey",
				Text: fmt.Sprintf("it is the key of %s too; two hosts cannot have one key", other.conf.file)}
		}
		m.hosts = append(m.hosts, h)
	}
	if len(m.hosts) == 0 {
		return nil, nil, fmt.Errorf("a configuration is needed")
	}
	m.create()
	m.place()
	return m.file(), m.notes, nil
}

// importHost is a host of the scenario to be.
type importHost struct {
	name    string
	conf    *wgConf // nil: it was created
	public  protocol.PublicKey
	inner   []netip.Prefix
	port    uint16
	outer   netip.Addr // where the endpoints of its peers lead; zero: nowhere
	network string
	peers   []Peer
}

type importer struct {
	o        ImportOptions
	hosts    []*importHost
	networks []Network
	notes    []string
	psks     []string // texts of preshared keys in order of their appearance
	openings int      // networks made for names that only DNS knows
}

func (m *importer) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

func (m *importer) find(k protocol.PublicKey) *importHost {
	for _, h := range m.hosts {
		if h.public == k {
			return h
		}
	}
	return nil
}

// unused makes a name different from all hosts'.
func (m *importer) unused(name string) string {
	for n, try := 2, name; ; n++ {
		if !slices.ContainsFunc(m.hosts, func(h *importHost) bool { return h.name == try }) {
			return try
		}
		try = fmt.Sprintf("%s-%d", name, n)
	}
}

// create makes the hosts that are only named as peers, and says where everybody is who has an endpoint.
func (m *importer) create() {
	for _, h := range slices.Clone(m.hosts) {
		for i := range h.conf.peers {
			p := &h.conf.peers[i]
			o := m.find(p.public)
			if o == nil {
				o = &importHost{name: m.unused(peerName(p, i)), public: p.public}
				o.inner = m.innerOf(p, h)
				m.hosts = append(m.hosts, o)
				m.note("%s:%d: there is no configuration of this peer: host %s was created for it, with %s", h.conf.file,
					p.line, o.name, listed(o.inner))
			}
			m.lead(h, p, o)
		}
	}
}

// peerName is the name of a host that has none: that of its endpoint, if it is one.
func peerName(p *wgPeer, i int) string {
	host, _, _ := strings.Cut(p.endpoint, ":")
	if _, err := netip.ParseAddr(host); host == "" || err == nil || strings.HasPrefix(host, "[") {
		return fmt.Sprintf("peer-%d", i+1)
	}
	first, _, _ := strings.Cut(host, ".")
	return safeName(first)
}

func listed(list []netip.Prefix) string {
	if len(list) == 0 {
		return "no inner address"
	}
	var s []string
	for _, p := range list {
		s = append(s, p.Addr().String())
	}
	return "the inner address " + strings.Join(s, " and ")
}

// innerOf guesses a created host's inner addresses: what it alone may send from, or else the first free ones of the
// networks that its peer is in.
func (m *importer) innerOf(p *wgPeer, peer *importHost) (list []netip.Prefix) {
	for _, a := range p.allowed {
		if a.IsSingleIP() {
			list = append(list, a)
		}
	}
	if list != nil {
		return list
	}
	for _, own := range peer.inner {
		for a := own.Masked().Addr().Next(); own.Contains(a); a = a.Next() {
			if !m.taken(a) {
				list = append(list, netip.PrefixFrom(a, a.BitLen()))
				break
			}
		}
	}
	return list
}

func (m *importer) taken(a netip.Addr) bool {
	return slices.ContainsFunc(m.hosts, func(h *importHost) bool {
		return slices.ContainsFunc(h.inner, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// lead notes where the endpoint of a peer leads. A name that only DNS knows gets an address of the documentation's.
func (m *importer) lead(h *importHost, p *wgPeer, o *importHost) {
	if p.endpoint == "" {
		return
	}
	if at, err := netip.ParseAddrPort(p.endpoint); err == nil {
		if !o.outer.IsValid() {
			o.outer = at.Addr().Unmap()
		}
		if o.port == 0 {
			o.port = at.Port()
		}
		return
	}
	if !o.outer.IsValid() {
		m.openings++
		o.outer = netip.AddrFrom4([4]byte{203, 0, 113, byte(min(m.openings, 250))})
		m.note("%s:%d: %s is not looked up: %s is at %s", h.conf.file, p.line, p.endpoint, o.name, o.outer)
	}
	var port uint16
	if _, err := fmt.Sscanf(p.endpoint[strings.LastIndex(p.endpoint, ":")+1:], "%d", &port); err == nil && o.port == 0 {
		o.port = port
	}
}

// place gives every host a network: a public one to those to whom an endpoint leads, one behind a NAT to the others.
func (m *importer) place() {
	link := m.o.Link
	if link == "" {
		link = "cable"
	}
	var public []netip.Prefix
	for _, h := range m.hosts {
		if !h.outer.IsValid() {
			continue
		}
		bits := 24
		if h.outer.Is6() {
			bits = 64
		}
		prefix, _ := h.outer.Prefix(bits)
		if i := slices.Index(public, prefix); i >= 0 {
			h.network = fmt.Sprintf("public-%d", i+1)
			continue
		}
		public = append(public, prefix)
		h.network = fmt.Sprintf("public-%d", len(public))
		m.networks = append(m.networks, Network{Name: h.network, Prefix: prefix.String(), Link: link})
	}
	outside := netip.MustParsePrefix("198.51.100.0/24")
	for i := 0; slices.ContainsFunc(public, outside.Overlaps); i++ {
		outside = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 88, byte(i), 0}), 24)
	}
	next := 0
	for _, h := range m.hosts {
		if h.network != "" {
			continue
		}
		next++
		n := Network{Name: h.name + "-net", Link: link}
		at, _ := advance(outside.Addr(), uint64(next), 0, "")
		if m.o.NAT == "none" {
			n.Prefix = fmt.Sprintf("192.18.%d.0/24", next)
		} else {
			n.Prefix, n.NAT, n.Public = fmt.Sprintf("192.168.%d.0/24", next), m.o.NAT, at.String()
			if n.NAT == "" {
				n.NAT = "home"
			}
			m.note("no endpoint leads to %s: it is behind a NAT of kind %s", h.name, n.NAT)
		}
		h.network = n.Name
		m.networks = append(m.networks, n)
	}
}

// file puts the scenario together.
func (m *importer) file() *File {
	f := &File{Version: Version, Name: m.o.Name, About: "made by wgsim import", Duration: m.o.Duration,
		WarmUp: 10_000 * ms, Networks: m.networks}
	if f.Name == "" {
		f.Name = "imported"
	}
	if f.Duration == 0 {
		f.Duration = Duration(5 * time.Minute)
	}
	m.losses(f)
	m.tunnels()
	for _, h := range m.hosts {
		host := Host{Name: h.name, Network: h.network, Port: h.port, Peers: h.peers, Forward: len(h.peers) > 1}
		if h.outer.IsValid() {
			host.Address = h.outer.String()
		}
		if h.conf != nil {
			host.MTU = h.conf.mtu
		}
		for _, p := range h.inner {
			host.Inner = append(host.Inner, p.Addr().String())
		}
		f.Hosts = append(f.Hosts, host)
	}
	m.traffic(f)
	return f
}

// losses puts the loss that was asked for on the lines behind a NAT, where users are, or on all if there is none.
func (m *importer) losses(f *File) {
	if m.o.Loss.Num == 0 {
		return
	}
	lossy := func(n Network) {
		f.Faults = append(f.Faults, Fault{Name: "loss-" + n.Name, Network: n.Name, Rule: Rule{Kind: "loss", Ratio: m.o.Loss}})
	}
	for _, n := range m.networks {
		if n.NAT != "" {
			lossy(n)
		}
	}
	for _, n := range m.networks {
		if len(f.Faults) == 0 {
			lossy(n)
		}
	}
}

// tunnels makes the peers of all hosts: those of the configurations, and the other ends where there is none.
func (m *importer) tunnels() {
	for _, h := range m.hosts {
		if h.conf == nil {
			continue
		}
		for i := range h.conf.peers {
			p := &h.conf.peers[i]
			o := m.find(p.public)
			h.peers = append(h.peers, Peer{Host: o.name, AllowedIPs: allowed(p), Endpoint: m.endpoint(p, o),
				Keepalive: p.keepalive, PSK: m.psk(p.psk)})
			if other := o.toward(h); other != nil {
				if other.psk != p.psk && slices.Index(m.hosts, h) < slices.Index(m.hosts, o) {
					m.note("%s:%d: %s and %s have different preshared keys: they cannot shake hands", h.conf.file, p.line, h.name,
						o.name)
				}
				continue
			}
			if o.conf != nil {
				m.note("%s: it does not have %s as a peer: the other end of the tunnel was added", o.conf.file, h.name)
			}
			back := Peer{Host: h.name, PSK: m.psk(p.psk)}
			if h.outer.IsValid() {
				back.Endpoint = h.name
			}
			o.peers = append(o.peers, back)
		}
	}
}

// toward is what h's configuration says of its peer; nil: nothing.
func (h *importHost) toward(peer *importHost) *wgPeer {
	if h.conf == nil {
		return nil
	}
	i := slices.IndexFunc(h.conf.peers, func(q wgPeer) bool { return q.public == peer.public })
	if i < 0 {
		return nil
	}
	return &h.conf.peers[i]
}

func allowed(p *wgPeer) (list []string) {
	for _, a := range p.allowed {
		list = append(list, a.String())
	}
	if list == nil {
		list = []string{noAllowedIPs}
	}
	return list
}

// endpoint is the name of the host, unless its port is another one: then the configuration is wrong, and stays so.
func (m *importer) endpoint(p *wgPeer, o *importHost) string {
	if p.endpoint == "" || strings.HasSuffix(p.endpoint, fmt.Sprintf(":%d", o.port)) {
		if p.endpoint == "" {
			return ""
		}
		if at, err := netip.ParseAddrPort(p.endpoint); err != nil || at.Addr().Unmap() == o.outer {
			return o.name
		}
		return p.endpoint
	}
	port := p.endpoint[strings.LastIndex(p.endpoint, ":")+1:]
	m.note("endpoint %s: %s listens on port %d", p.endpoint, o.name, o.port)
	if o.outer.Is6() {
		return fmt.Sprintf("[%s]:%s", o.outer, port)
	}
	return fmt.Sprintf("%s:%s", o.outer, port)
}

// psk is a word for a preshared key, so that the key itself stays where it is.
func (m *importer) psk(text string) string {
	if text == "" {
		return ""
	}
	i := slices.Index(m.psks, text)
	if i < 0 {
		i = len(m.psks)
		m.psks = append(m.psks, text)
	}
	return fmt.Sprintf("psk-%d", i+1)
}

// traffic makes each host that can begin ping its peers, and expects that this works.
func (m *importer) traffic(f *File) {
	for i := range f.Hosts {
		for _, p := range f.Hosts[i].Peers {
			to := f.Hosts[slices.IndexFunc(f.Hosts, func(h Host) bool { return h.Name == p.Host })]
			v6, ok := family(f.Hosts[i].Inner, to.Inner)
			if p.Endpoint == "" || !ok {
				continue
			}
			f.Traffic = append(f.Traffic, Flow{Kind: "ping", From: f.Hosts[i].Name, To: p.Host, IPv6: v6,
				Start: Duration(time.Second), Every: Duration(time.Second)})
		}
	}
	if len(f.Traffic) == 0 {
		m.note("nobody has both an endpoint and an inner address, so nobody sends anything")
		return
	}
	f.Expect = append(f.Expect, "no outage over 10s")
}

// family finds an IP version that both have.
func family(a, b []string) (v6, ok bool) {
	has := func(list []string, colon bool) bool {
		return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, ":") == colon })
	}
	if has(a, false) && has(b, false) {
		return false, true
	}
	return true, has(a, true) && has(b, true)
}
