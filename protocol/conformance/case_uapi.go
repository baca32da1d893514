package conformance

import (
	"fmt"
	"time"
)

var uapiCases = []Case{
	{
		ID: "uapi/get/keepalive", Rules: []string{"UAPI-21"}, Level: Must, Isolation: Shared,
		Needs: NeedUAPI, Lasts: 3 * time.Second,
		Title: "A persistent keepalive that is set is reported",
		Why:   "Tools write back what they read.",
		Run: func(t *T) {
			p := t.NewPeer(PeerOptions{Stranger: true})
			u := t.UAPI()
			key := "public_key=" + Hex(p.Party.Static.Public)
			t.Equal("the errno of the set", u.Set(key, "persistent_keepalive_interval=17"), 0)
			t.Cleanup(func() { u.Set(key, "remove=true") })
			lines, ok := u.Get().Peer(p.Party.Static.Public)
			t.Check(ok, "the new peer in the answer to a get", "none")
			for _, l := range lines {
				if l.Key == "persistent_keepalive_interval" {
					t.Equal("persistent_keepalive_interval", l.Value, "17")
					return
				}
			}
			t.Fail("a line persistent_keepalive_interval=17", fmt.Sprint(lines))
		},
	},
}
