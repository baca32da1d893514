package explain

// Report is what a capture tells. Times are nanoseconds since the first message, by the clock of the first tap.
type Report struct {
	Version    int         `json:"version"` // of this structure: 1
	Files      []string    `json:"files"`
	Frames     int         `json:"frames"`
	Start      int64       `json:"start_unix_ns"` // of the first WireGuard message
	Duration   int64       `json:"duration_ns"`
	Depth      Depth       `json:"depth"`
	DepthText  string      `json:"depth_text"`
	Clocks     []Clock     `json:"clocks,omitempty"`
	Notes      []string    `json:"notes,omitempty"` // on the capture itself and on what was put together without proof
	Tunnels    []Tunnel    `json:"tunnels"`
	Findings   []Finding   `json:"findings"`
	Deviations []Deviation `json:"deviations"`
}

// Tunnel is two ends and what passed between them.
type Tunnel struct {
	ID       int       `json:"id"`
	Ends     [2]End    `json:"ends"`
	Depth    Depth     `json:"depth"`
	Place    string    `json:"place"` // where the taps are, as far as that can be told
	State    string    `json:"state"` // in which the capture leaves it
	Sessions []Session `json:"sessions"`
	Timeline []Event   `json:"timeline"`
}

// End is one end of a tunnel.
type End struct {
	Name      string   `json:"name"` // of its configuration, or the beginning of its key, or its address
	PublicKey string   `json:"public_key,omitempty"`
	Addresses []string `json:"addresses"`
	Messages  int      `json:"messages"`
}

// Session is a handshake that was answered, or a session that was under way when the capture began.
type Session struct {
	ID          int       `json:"id"`
	Initiator   string    `json:"initiator"` // "?" if the handshake was not seen
	Begin       int64     `json:"begin_ns"`
	End         int64     `json:"end_ns"` // of its last message
	RoundTrip   int64     `json:"handshake_ns"`
	Initiations int       `json:"initiations"` // that it took
	Cause       string    `json:"cause"`       // inferred
	CauseRule   string    `json:"cause_rule,omitempty"`
	Confirmed   bool      `json:"confirmed"`
	Index       [2]string `json:"index"`   // of the two ends
	Flow        [2]Flow   `json:"flow"`    // what each end sent
	Assumed     bool      `json:"assumed"` // that its two directions belong together
	Decrypted   bool      `json:"decrypted"`
	Packets     []Ref     `json:"packets"` // of the handshake
}

// Flow is what one end sent on a session.
type Flow struct {
	Messages   int    `json:"messages"`
	Keepalives int    `json:"keepalives"`
	Bytes      int64  `json:"bytes"`
	Missing    uint64 `json:"missing"` // sent, by the counters, and not seen
	Reordered  int    `json:"reordered"`
	Copies     int    `json:"copies"`
	LastNumber uint64 `json:"last_counter"`
}

// Event is a line of the timeline.
type Event struct {
	At      int64  `json:"at_ns"`
	Who     string `json:"who"`
	Text    string `json:"text"`
	Packets []Ref  `json:"packets"`
}

// Certainty is how much stands behind a finding.
type Certainty string

// The certainties. What is only possible comes with what else it may be.
const (
	Certain  Certainty = "certain"  // nothing else fits what was seen
	Likely   Certainty = "likely"   // something else would have to come together by chance
	Possible Certainty = "possible" // other explanations fit as well; they are listed
)

// Finding is a diagnosis.
type Finding struct {
	Kind      string    `json:"kind"` // a word that never changes; docs/EXPLAIN.md lists them
	Tunnel    int       `json:"tunnel"`
	Certainty Certainty `json:"certainty"`
	From      int64     `json:"from_ns"`
	To        int64     `json:"to_ns"`
	Title     string    `json:"title"`
	Text      string    `json:"text"`             // the evidence
	Or        []string  `json:"or,omitempty"`     // what else it may be
	Advice    string    `json:"advice,omitempty"` // what to do about it, or what would tell more
	Packets   []Ref     `json:"packets"`
	weight    int       // the greater, the more it explains
}

// Deviation is something that the protocol does not allow, or not recommend.
type Deviation struct {
	Rule      string    `json:"rule"` // ID in docs/rules.txt
	Tunnel    int       `json:"tunnel"`
	Who       string    `json:"who"`
	Text      string    `json:"text"` // about the first case
	Certainty Certainty `json:"certainty"`
	Count     int       `json:"count"`
	Packets   []Ref     `json:"packets"` // the first few
}
