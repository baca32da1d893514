package bringup

import (
	"iter"
	"slices"
	"time"

	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/peer"
)

// A Question is one step of bringing an implementation up.
type Question struct {
	ID    string // words, never changed
	Title string // what is right
	Rules []string
	Needs conformance.Need

	psk bool // the peer has a preshared key
	ask func(*lab)
}

// Questions gives them in the order in which they are asked: each relies on those before it.
func Questions() iter.Seq[Question] {
	return slices.Values(slices.Concat(answerQuestions, refuseQuestions, sessionQuestions, initiateQuestions))
}

// longest is how much of the subject's time a question takes, the trial of every mistake included.
const longest = 60 * time.Second

// of makes a case of the question for the runner; what is found out goes to d.
func (q *Question) of(d **Diagnosis) conformance.Case {
	needs := q.Needs
	if needs != 0 { // the peer's inner addresses are to be the tester's choice; a key of any peer does for the others
		needs |= conformance.NeedConfigure
	}
	return conformance.Case{ID: "bringup/" + q.ID, Rules: q.Rules, Level: conformance.Must,
		Isolation: conformance.Shared, Needs: needs, Title: q.Title,
		Why: "Everything after it relies on it.", Lasts: longest,
		Run: func(t *conformance.T) {
			*d = nil
			l := &lab{T: t, diagnosis: d}
			o := conformance.PeerOptions{}
			if q.psk {
				o.PSK = conformance.Key(peer.NewPair(t.Random).Private)
			}
			l.p = t.NewPeer(o)
			q.ask(l)
		}}
}
