package bringup_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/purewire/purewire/protocol"
	"github.com/purewire/purewire/protocol/conformance"
	"github.com/purewire/purewire/protocol/conformance/bringup"
	"github.com/purewire/purewire/protocol/conformance/coretarget"
	"github.com/purewire/purewire/protocol/protocoltest"
)

// bring asks a target and gives the report with its text.
func bring(t *testing.T, f conformance.Factory) (*bringup.Report, string) {
	t.Helper()
	var text bytes.Buffer
	n := 0
	r, err := bringup.Run(t.Context(), f, bringup.Options{Seed: 1, Asked: func(a bringup.Answer) {
		n++
		if err := bringup.WriteAnswer(&text, n, a); err != nil {
			t.Error(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := bringup.WriteVerdict(&text, r); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	return r, text.String()
}

// TestBringupPasses: who makes no mistake is told of none, and has answered every question.
func TestBringupPasses(t *testing.T) {
	for name, f := range map[string]conformance.Factory{"core": coretarget.Factory{}, "tiny": tinyFactory{}} {
		r, text := bring(t, f)
		passed := 0
		for _, a := range r.Answers {
			if a.Verdict == conformance.Pass {
				passed++
			}
		}
		if r.Failed() || passed != r.Total || passed < 25 {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// flawed are the mistakes of tiny, at which question each is found, and the code of the cause that must be named. Where
// the code is empty it is the name.
var flawed = []struct{ flaw, question, code string }{
	{"construction-nul", "answer/any", ""},
	{"construction-ik", "answer/any", ""},
	{"identifier-nul", "answer/any", ""},
	{"identifier-missing", "answer/any", ""},
	{"start-own-static", "initiate/static", ""},
	{"hash-sha256", "answer/any", ""},
	{"hash-blake2b", "answer/any", ""},
	{"kdf-keyed", "answer/any", ""},
	{"kdf-arguments", "answer/any", ""},
	{"kdf-from-zero", "answer/any", ""},
	{"kdf-unchained", "answer/any", ""},
	{"kdf-order", "answer/any", ""},
	{"hmac-block-128", "answer/any", ""},
	{"e-no-kdf", "answer/any", ""},
	{"e-no-hash", "answer/any", ""},
	{"es-ss-swapped", "answer/any", ""},
	{"ss-missing", "answer/any", ""},
	{"dh-reversed", "answer/any", ""},
	{"static-no-hash", "answer/any", ""},
	{"static-hash-plain", "answer/any", ""},
	{"aead-no-ad", "answer/any", ""},
	{"aead-counts-on", "answer/any", ""},
	{"mac1-label", "answer/any", ""},
	{"mac1-hmac", "answer/any", "mac1-function"},
	{"mac1-cut", "answer/any", "mac1-function"},
	{"mac1-too-much", "answer/any", "mac1-range"},
	{"mac1-too-little", "answer/any", "mac1-range"},
	{"type-big-endian", "answer/type", ""},
	{"cookie-at-once", "answer/type", ""},
	{"mac2-missing", "answer/length", "length"},
	{"index-order", "answer/receiver-index", ""},
	{"answer-big-endian", "answer/receiver-index", "index-big-endian"},
	{"sender-constant", "answer/sender-index", ""},
	{"ephemeral-constant", "answer/ephemeral", ""},
	{"mac1-static", "answer/mac1", ""},
	{"answer-mac1-range", "answer/mac1", "mac1-range"},
	{"mac2-zero-cookie", "answer/mac2", ""},
	{"timestamp-no-hash", "answer/empty", ""},
	{"timestamp-hash-plain", "answer/empty", ""},
	{"ee-se-swapped", "answer/empty", ""},
	{"se-missing", "answer/empty", ""},
	{"se-is-ss", "answer/empty", ""},
	{"psk-missing", "answer/empty", ""},
	{"psk-one", "answer/empty", ""},
	{"psk-two", "answer/empty", ""},
	{"psk-no-tau", "answer/empty", ""},
	{"psk-order", "answer/empty", ""},
	{"psk-zeros", "answer/psk", ""},
	{"mac1-unchecked", "refuse/mac1", ""},
	{"mac1-compared-in-part", "refuse/mac1", ""},
	{"timestamp-unauthenticated", "refuse/forged", ""},
	{"timestamp-unchecked", "refuse/replay", ""},
	{"timestamp-equal", "refuse/replay", ""},
	{"timestamp-compared-little-endian", "refuse/replay", ""},
	{"stranger-answered", "refuse/stranger", ""},
	{"low-order", "refuse/low-order", ""},
	{"keys-swapped", "session/receive", ""},
	{"keys-from-hash", "session/receive", ""},
	{"transport-ad-header", "session/receive", ""},
	{"counter-from-one", "session/receive", ""},
	{"nonce-first", "session/receive-counters", ""},
	{"nonce-big-endian", "session/receive-counters", ""},
	{"counter-big-endian", "session/receive-counters", ""},
	{"padding-kept", "session/receive-padding", ""},
	{"unpadded-refused", "session/receive-padding", ""},
	{"keepalive-delivered", "session/receive-keepalive", ""},
	{"replay-delivered", "session/replay", ""},
	{"window-missing", "session/replay", ""},
	{"unconfirmed-sends", "session/unconfirmed", ""},
	{"unconfirmed-by-keepalive", "session/send", ""},
	{"data-own-index", "session/send", "index-wrong"},
	{"counter-starts-at-one", "session/send-counters", ""},
	{"counter-constant", "session/send-counters", ""},
	{"kdf-extract-keyed", "answer/any", ""},
	{"keys-single", "session/send-opens", ""},
	{"padding-missing", "session/send-padding", ""},
	{"padding-content", "session/send-padding", ""},
	{"static-private", "initiate/static", ""},
	{"timestamp-unix", "initiate/timestamp", ""},
	{"timestamp-little-endian", "initiate/timestamp", ""},
	{"initiator-silent", "initiate/response", ""},
	{"again-same", "initiate/again", ""},
	{"cookie-label", "initiate/cookie", ""},
	{"cookie-own", "initiate/cookie", ""},
	{"cookie-no-ad", "initiate/cookie", ""},
	{"mac2-without-mac1", "initiate/cookie", "mac2-range"},
}

// TestBringupNamesTheCause brings up a small WireGuard with each of its mistakes, or some of them with -short. With -v
// it prints the table.
func TestBringupNamesTheCause(t *testing.T) {
	var table strings.Builder
	for i, e := range flawed {
		if testing.Short() && i%5 != 0 {
			continue
		}
		code := e.code
		if code == "" {
			code = e.flaw
		}
		r, text := bring(t, tinyFactory{flaw: e.flaw})
		last := r.Answers[len(r.Answers)-1]
		if !r.Failed() || r.Diagnosis == nil || last.ID != e.question || !slices.Equal(r.Diagnosis.Codes, []string{code}) {
			t.Errorf("%s: want %s at %s:\n%s", e.flaw, code, e.question, text)
			continue
		}
		if i%8 == 0 {
			if _, again := bring(t, tinyFactory{flaw: e.flaw}); again != text {
				t.Errorf("%s: another text the second time:\n%s\n%s", e.flaw, text, again)
			}
		}
		fmt.Fprintf(&table, "%-33s %-25s %s\n", e.flaw, e.question, r.Diagnosis.Cause)
	}
	t.Logf("error → question, diagnosis\n%s", table.String())
}

// TestBringupWithoutInner: a target whose inner side nobody sees is asked what is left, and told why the rest is not.
func TestBringupWithoutInner(t *testing.T) {
	r, text := bring(t, tinyFactory{lacks: conformance.NeedInner})
	const summary = "\n15 of 33 questions are answered rightly, 18 were left out:\n  the target has no inner side\n"
	if r.Failed() || len(r.Answers) != r.Total || !strings.Contains(text, summary) {
		t.Error(text)
	}
	r, text = bring(t, tinyFactory{flaw: "kdf-keyed", lacks: conformance.NeedInner})
	if !r.Failed() || r.Diagnosis == nil || !slices.Equal(r.Diagnosis.Codes, []string{"kdf-keyed"}) {
		t.Error(text)
	}
}

// TestBringupUnknownCause: what no known mistake explains is said to be so, with the values to compare with.
func TestBringupUnknownCause(t *testing.T) {
	for flaw, question := range map[string]string{"construction-odd": "answer/any", "psk-odd": "answer/empty"} {
		r, text := bring(t, tinyFactory{flaw: flaw})
		d := r.Diagnosis
		if !r.Failed() || r.Answers[len(r.Answers)-1].ID != question || d == nil || len(d.Codes) > 0 || len(d.Steps) < 7 ||
			!strings.Contains(text, "none of the known mistakes explains it") ||
			!strings.Contains(text, "the key schedule of this handshake, as it should be") {
			t.Errorf("%s:\n%s", flaw, text)
		}
	}
}

// TestBringupSkips: what is skipped is not asked, so that one can go on past a mistake that is known.
func TestBringupSkips(t *testing.T) {
	r, err := bringup.Run(t.Context(), tinyFactory{flaw: "low-order"}, bringup.Options{Skip: []string{"*/low-order"}})
	if err != nil || r.Failed() || len(r.Answers) != r.Total-1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err = bringup.Run(t.Context(), tinyFactory{}, bringup.Options{Skip: []string{"*"}}); err == nil {
		t.Error("no question, and no error")
	}
}

// TestBringupTwoMistakes: two at once in what it initiates are told together, where one alone does not open a field.
func TestBringupTwoMistakes(t *testing.T) {
	r, text := bring(t, tinyFactory{flaw: "construction-nul", second: "aead-no-ad"})
	d := r.Diagnosis
	if !r.Failed() || d == nil || !slices.Equal(d.Codes, []string{"construction-nul", "aead-no-ad"}) ||
		!strings.Contains(d.Cause, "; and ") || !strings.HasPrefix(d.Evidence, "it makes the same mistake in its own") {
		t.Error(text)
	}
}

// TestBringupEveryCauseHasARule: codes are told apart and rules exist in the list of the project.
func TestBringupEveryCauseHasARule(t *testing.T) {
	known, err := os.ReadFile("../../../docs/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	check := func(what string, ids []string) {
		if seen[what] || len(ids) == 0 {
			t.Errorf("%s: twice, or without a rule", what)
		}
		seen[what] = true
		for _, id := range ids {
			if !bytes.Contains(known, []byte("\n"+id+"\t")) {
				t.Errorf("%s: there is no rule %s", what, id)
			}
		}
	}
	for _, c := range bringup.Causes() {
		check(c.Code, c.Rules)
	}
	for q := range bringup.Questions() {
		check(q.ID, q.Rules)
	}
}

// TestBringupBadCores: what bringup says of this project's known-bad cores, which were made for other tests.
func TestBringupBadCores(t *testing.T) {
	for _, e := range []struct{ defect, question, code string }{
		{"ignore-psk", "answer/psk", "psk-zeros"},
		{"reuse-ephemeral", "answer/ephemeral", "ephemeral-constant"},
		{"skip-mac1", "refuse/mac1", "mac1-unchecked"},
		{"ignore-timestamp", "refuse/replay", "timestamp-unchecked"},
		{"no-replay-window", "session/replay", "replay-delivered"},
		{"confirm-early", "session/unconfirmed", "unconfirmed-sends"},
		{"keepalive-no-confirm", "session/send", "unconfirmed-by-keepalive"},
		{"nonce-reuse", "session/send-counters", "counter-constant"},
		{"no-padding", "session/send-padding", "padding-missing"},
		{"no-trim", "session/receive-padding", "padding-kept"},
		{"timestamp-offset", "initiate/timestamp", "timestamp-unix"},
	} {
		f := coretarget.Factory{Prepare: func(d *protocol.Device) {
			if err := protocoltest.WithDefect(d, e.defect); err != nil {
				t.Error(err)
			}
		}}
		r, text := bring(t, f)
		last := r.Answers[len(r.Answers)-1]
		if !r.Failed() || last.ID != e.question || r.Diagnosis == nil ||
			!slices.Equal(r.Diagnosis.Codes, []string{e.code}) {
			t.Errorf("%s: want %s at %s:\n%s", e.defect, e.code, e.question, text)
		}
	}
}
