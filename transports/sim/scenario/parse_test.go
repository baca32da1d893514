package scenario

import (
	"testing"
)

const small = `# A comment.
version: 1
name: small
about: two hosts
duration: 3m
links:
  - name: bad
    latency: 30ms
    loss: 0.5%
    rules:
      - kind: queue
        rate: 2Mbit/s
networks:
  - name: net
    prefix: 192.0.2.0/24
    link: bad
  - name: home
    prefix: 10.0.0.0/24
    nat: home
    public: 198.51.100.1
    firewall: {}
hosts:
  - name: server
    network: net
    inner: [10.77.0.1, "fd77::1"]
    peers:
      - host: client-*
  - name: client-<i>
    count: 2
    network: home
    inner: [10.77.0.1+<i>]
    peers:
      - host: server
        endpoint: server
        keepalive: 25
traffic:
  - {kind: ping, from: client-*, to: server, every: 1s, start: 1s}
timeline:
  - at: 20s
    every: 40s
    do: sleep
    host: client-1
    for: 10s
faults:
  - name: cut
    kind: loss
    ratio: 100%
    from: 100s
    until: 110s
expect:
  - recover within 15s
`

func TestSmall(t *testing.T) {
	f, err := Parse("small.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Scenario.Hosts) != 3 || len(c.Scenario.Flows) != 2 || len(c.Scenario.Timeline) != 4 {
		t.Errorf("%+v", c.Scenario)
	}
	text, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	if _, err := Parse("again", text); err != nil {
		t.Fatal(err)
	}
}
