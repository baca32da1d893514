package scenario

// Version is the number that a file must give as its version.
const Version = 1

// File is a scenario as it is written: templates are not expanded, names are not resolved. Its fields are those of the
// YAML form, in the order in which [File.Marshal] writes them; docs/SCENARIOS.md says what each means. A File that was
// not parsed, but made by a program, is as good: its errors then name the field and no line.
type File struct {
	Version    int      `yaml:"version"`
	Name       string   `yaml:"name"`
	About      string   `yaml:"about,omitempty"`
	Question   string   `yaml:"question,omitempty"`
	Answer     string   `yaml:"answer,omitempty"`
	Duration   Duration `yaml:"duration"`
	WarmUp     Duration `yaml:"warm-up,omitempty"`
	Wall       string   `yaml:"wall,omitempty"`
	Heal       Duration `yaml:"heal,omitempty"`
	NoStranger bool     `yaml:"no-stranger,omitempty"`
	// Seed is the one that the scenario was found with; who runs it uses it if nobody asks for another.
	Seed     uint64    `yaml:"seed,omitempty"`
	Links    []Link    `yaml:"links,omitempty"`
	NATs     []NAT     `yaml:"nats,omitempty"`
	Networks []Network `yaml:"networks"`
	Hosts    []Host    `yaml:"hosts"`
	Traffic  []Flow    `yaml:"traffic,omitempty"`
	Timeline []Action  `yaml:"timeline,omitempty"`
	Faults   []Fault   `yaml:"faults,omitempty"`
	Attacks  []Attack  `yaml:"attacks,omitempty"`
	Expect   []string  `yaml:"expect,omitempty"`

	source *source // nil if it was not parsed
}

// Link is a line that networks refer to by its name, besides those of [Links].
type Link struct {
	Name      string   `yaml:"name"`
	Latency   Duration `yaml:"latency,omitempty"`
	Jitter    Duration `yaml:"jitter,omitempty"`
	Loss      Ratio    `yaml:"loss,omitempty"`
	Duplicate Ratio    `yaml:"duplicate,omitempty"`
	Corrupt   Ratio    `yaml:"corrupt,omitempty"`
	Shape     string   `yaml:"shape,omitempty"`
	Ordered   bool     `yaml:"ordered,omitempty"`
	Rules     []Rule   `yaml:"rules,omitempty"`
}

// Rule is what a line or a fault does to datagrams. Which of its fields it reads depends on its kind.
type Rule struct {
	Kind         string   `yaml:"kind"`
	Ratio        Ratio    `yaml:"ratio,omitempty"`
	Min          Duration `yaml:"min,omitempty"`
	Max          Duration `yaml:"max,omitempty"`
	Base         Duration `yaml:"base,omitempty"`
	Shape        string   `yaml:"shape,omitempty"`
	Ordered      bool     `yaml:"ordered,omitempty"`
	By           Duration `yaml:"by,omitempty"`
	Most         int      `yaml:"most,omitempty"`
	Enter        Ratio    `yaml:"enter,omitempty"`
	Leave        Ratio    `yaml:"leave,omitempty"`
	LossGood     Ratio    `yaml:"loss-good,omitempty"`
	LossBad      Ratio    `yaml:"loss-bad,omitempty"`
	UpFor        Duration `yaml:"up-for,omitempty"`
	DownFor      Duration `yaml:"down-for,omitempty"`
	Jitter       Duration `yaml:"jitter,omitempty"`
	Ports        []uint16 `yaml:"ports,omitempty,flow"`
	Size         int      `yaml:"size,omitempty"`
	TooBig       string   `yaml:"too-big,omitempty"`
	FragmentLoss Ratio    `yaml:"fragment-loss,omitempty"`
	Rate         Rate     `yaml:"rate,omitempty"`
	Limit        int      `yaml:"limit,omitempty"`
	CoDel        bool     `yaml:"codel,omitempty"`
	Target       Duration `yaml:"target,omitempty"`
	Interval     Duration `yaml:"interval,omitempty"`
	CSV          string   `yaml:"csv,omitempty"`
	Loop         bool     `yaml:"loop,omitempty"`
}

// NAT is a kind of NAT that networks refer to by its name, besides those of [NATs].
type NAT struct {
	Name           string   `yaml:"name"`
	Mapping        string   `yaml:"mapping,omitempty"`
	Filtering      string   `yaml:"filtering,omitempty"`
	Ports          string   `yaml:"ports,omitempty"`
	Timeout        Duration `yaml:"timeout,omitempty"`
	InboundRefresh bool     `yaml:"inbound-refresh,omitempty"`
	Hairpin        bool     `yaml:"hairpin,omitempty"`
	Mappings       int      `yaml:"mappings,omitempty"`
	Evict          bool     `yaml:"evict,omitempty"`
}

// Network is a network, or Count of them.
type Network struct {
	Name     string    `yaml:"name"`
	Count    int       `yaml:"count,omitempty"`
	Prefix   string    `yaml:"prefix"`
	NAT      string    `yaml:"nat,omitempty"`
	Public   string    `yaml:"public,omitempty"`
	Behind   string    `yaml:"behind,omitempty"`
	Firewall *Firewall `yaml:"firewall,omitempty"`
	Link     string    `yaml:"link,omitempty"`
	Up       string    `yaml:"up,omitempty"`
	Down     string    `yaml:"down,omitempty"`
}

// Firewall is a packet filter at the border of a network; an empty one lets in what was asked for from inside.
type Firewall struct {
	Timeout  Duration `yaml:"timeout,omitempty"`
	Open     []uint16 `yaml:"open,omitempty,flow"`
	OutPorts []uint16 `yaml:"out-ports,omitempty,flow"`
	BlockUDP bool     `yaml:"block-udp,omitempty"`
}

// Host is a host, or Count of them.
type Host struct {
	Name    string   `yaml:"name"`
	Count   int      `yaml:"count,omitempty"`
	Network string   `yaml:"network"`
	Address string   `yaml:"address,omitempty"`
	Port    uint16   `yaml:"port,omitempty"`
	Inner   []string `yaml:"inner,omitempty,flow"`
	MTU     int      `yaml:"mtu,omitempty"`
	Forward bool     `yaml:"forward,omitempty"`
	JobTime Duration `yaml:"job-time,omitempty"`
	Workers int      `yaml:"workers,omitempty"`
	Limits  *Limits  `yaml:"limits,omitempty"`
	Homes   []Home   `yaml:"homes,omitempty"`
	// DriftPPM is by how many millionths its clocks go too fast.
	DriftPPM int32    `yaml:"drift-ppm,omitempty"`
	NoRTC    bool     `yaml:"no-rtc,omitempty"`
	TimeSync Duration `yaml:"time-sync,omitempty"`
	Steals   string   `yaml:"steals,omitempty"`
	Key      string   `yaml:"key,omitempty"`
	Peers    []Peer   `yaml:"peers,omitempty"`
}

// Home is a further network of a host.
type Home struct {
	Network string `yaml:"network"`
	Address string `yaml:"address,omitempty"`
}

// Limits bounds what the core of a host may use, as protocol.Limits does; a field that is 0 stands for the default.
type Limits struct {
	StagedPackets       int `yaml:"staged-packets,omitempty"`
	StagedBytes         int `yaml:"staged-bytes,omitempty"`
	Jobs                int `yaml:"jobs,omitempty"`
	HandshakesPerSecond int `yaml:"handshakes-per-second,omitempty"`
	CookiesPerSecond    int `yaml:"cookies-per-second,omitempty"`
	CookiesPerSource    int `yaml:"cookies-per-source,omitempty"`
}

// Peer is a peer of a host in terms of wg(8), or one for each host that the pattern Host matches.
type Peer struct {
	Host       string   `yaml:"host"`
	AllowedIPs []string `yaml:"allowed-ips,omitempty,flow"`
	Endpoint   string   `yaml:"endpoint,omitempty"`
	Keepalive  uint16   `yaml:"keepalive,omitempty"`
	PSK        string   `yaml:"psk,omitempty"`
}

// Flow is inner traffic, for each pair of hosts that the patterns From and To match.
type Flow struct {
	Name    string   `yaml:"name,omitempty"`
	Kind    string   `yaml:"kind"`
	From    string   `yaml:"from"`
	To      string   `yaml:"to"`
	IPv6    bool     `yaml:"ipv6,omitempty"`
	Start   Duration `yaml:"start,omitempty"`
	Stop    Duration `yaml:"stop,omitempty"`
	Stagger Duration `yaml:"stagger,omitempty"`
	Every   Duration `yaml:"every,omitempty"`
	Size    int      `yaml:"size,omitempty"`
	TOS     uint8    `yaml:"tos,omitempty"`
	Source  string   `yaml:"source,omitempty"`

	Reply       int      `yaml:"reply,omitempty"`
	Timeout     Duration `yaml:"timeout,omitempty"`
	Tries       int      `yaml:"tries,omitempty"`
	Bytes       uint64   `yaml:"bytes,omitempty"`
	Congestion  string   `yaml:"congestion,omitempty"`
	Window      int      `yaml:"window,omitempty"`
	Playout     Duration `yaml:"playout,omitempty"`
	OutageFloor Duration `yaml:"outage-floor,omitempty"`
}

// Action is something that happens at a time, again and again, or when a condition comes true.
type Action struct {
	At        Duration `yaml:"at,omitempty"`
	Every     Duration `yaml:"every,omitempty"`
	Times     int      `yaml:"times,omitempty"`
	Until     Duration `yaml:"until,omitempty"`
	When      string   `yaml:"when,omitempty"`
	After     Duration `yaml:"after,omitempty"`
	Stagger   Duration `yaml:"stagger,omitempty"`
	Do        string   `yaml:"do"`
	Host      string   `yaml:"host,omitempty"`
	Peer      string   `yaml:"peer,omitempty"`
	Network   string   `yaml:"network,omitempty"`
	Address   string   `yaml:"address,omitempty"`
	For       Duration `yaml:"for,omitempty"`
	By        Duration `yaml:"by,omitempty"`
	Overlap   Duration `yaml:"overlap,omitempty"`
	Back      Duration `yaml:"back,omitempty"`
	State     string   `yaml:"state,omitempty"`
	Keepalive uint16   `yaml:"keepalive,omitempty"`
	Endpoint  string   `yaml:"endpoint,omitempty"`
	PSK       string   `yaml:"psk,omitempty"`
	// AllowedIPs is what the peer may send from, for the action of that name.
	AllowedIPs []string `yaml:"allowed-ips,omitempty,flow"`
}

// Fault is a rule about datagrams that holds for a time.
type Fault struct {
	Name      string   `yaml:"name"`
	Network   string   `yaml:"network,omitempty"`
	Far       string   `yaml:"far,omitempty"`
	Direction string   `yaml:"direction,omitempty"`
	From      Duration `yaml:"from,omitempty"`
	Until     Duration `yaml:"until,omitempty"`
	Rule      `yaml:",inline"`
}

// Attack is an attacker on the Internet.
type Attack struct {
	Name    string   `yaml:"name"`
	Address string   `yaml:"address,omitempty"`
	Targets []string `yaml:"targets,flow"`
	Kinds   []string `yaml:"kinds,flow"`
	From    Duration `yaml:"from,omitempty"`
	Until   Duration `yaml:"until,omitempty"`
	Every   Duration `yaml:"every"`
	Sources int      `yaml:"sources,omitempty"`
}
