package conformance

import "time"

var lifeCases = []Case{
	{
		ID: "life/restart/unknown-index-is-silent", Rules: []string{"LIFE-02"}, Level: Must, Isolation: OwnInstance,
		Needs: NeedConfigure | NeedInner | NeedRestart, Lasts: 6 * time.Second,
		Title: "A subject that was restarted says nothing to data of its former life",
		Why:   "An answer would tell a stranger that somebody is there, and a handshake that anybody can start is a flood.",
		Run: func(t *T) {
			p := t.Peer()
			s := p.Connect()
			s.Deliver(p.Inbound())
			t.Restart()
			t.Forget()
			s.Send(p.Inbound())
			t.Silence(Anything, 2*time.Second)
		},
	},
}
